"""What yt-dlp's sentences mean: a clip is gone only where the site says so."""

import pytest

from uspl.data.download.refusals import KINDS, SENTENCES, STANDING, classify, plain

LIMIT = "Video unavailable. This content isn't available, try again later. The current session has been rate-limited"
SAID = {
    "gone": [
        "Video unavailable",
        "Video unavailable. This video is no longer available because the YouTube account has been terminated.",
        "Video unavailable. This video has been removed by the uploader",
        "This video has been removed for violating YouTube's Terms of Service",
        "Video unavailable. This video contains content from X, who has blocked it on copyright grounds",
        "This video does not exist.",
        "This live stream recording is not available.",
    ],
    "private": [
        "Private video. Sign in if you've been granted access to this video",
        "Join this channel to get access to members-only content like this video, and other exclusive perks.",
        "This video requires payment to watch.",
    ],
    "blocked": [
        "Video unavailable. The uploader has not made this video available in your country",
        "Video unavailable. This video contains content from X, who has blocked it in your country on copyright law",
        "This video is not available from your location due to geo restriction",
    ],
    "age": ["Sign in to confirm your age. This video may be inappropriate for some users."],
    "rate": [
        LIMIT,
        LIMIT.replace("'", "\u2019"),
        "Unable to download API page: HTTP Error 429: Too Many Requests",
        "Sign in to confirm you're not a bot. Use --cookies-from-browser or --cookies for the authentication",
        "Sign in to confirm you\u2019re not a bot. This helps protect our community. Learn more",
        "Video unavailable. YouTube is requiring a captcha challenge before playback",
        "Please sign in. Use --cookies-from-browser or --cookies for the authentication.",
    ],
    "client": [
        "The following content is not available on this app. Watch on the latest version of YouTube.",
        "The page needs to be reloaded.",
        "Failed to extract any player response",
        "unable to download video data: HTTP Error 403: Forbidden",
        "This video is DRM protected",
    ],
    "runtime": ["No supported JavaScript runtime could be found. Only deno is enabled by default"],
    "format": ["Requested format is not available. Use --list-formats for a list of available formats"],
    "network": [
        "Unable to download webpage: <urlopen error [Errno -3] Temporary failure in name resolution>",
        "Unable to download API page: HTTP Error 503: Service Unavailable",
        "The read operation timed out",
        "unable to download video data: Connection reset by peer",
    ],
    "unclear": [
        "Video unavailable. This video is not available",
        "Premieres in 3 hours",
        "We're processing this video. Check back later.",
    ],
    "large": ["larger than 200000000 bytes"],
    "later": ["No such sentence", ""],
}


@pytest.mark.parametrize(("kind", "sentence"), [(kind, said) for kind in SAID for said in SAID[kind]])
def test_each_sentence_has_its_class(kind: str, sentence: str) -> None:
    assert classify(sentence) == kind
    assert classify(f"\x1b[0;31mERROR:\x1b[0m [youtube] AAAAAAAAAAA: {sentence}") == kind


def test_every_class_is_said() -> None:
    assert set(SAID) == set(KINDS) == {name for name, _ in SENTENCES} | {"later"}
    assert {"gone", "private", "blocked", "age", "large"} == STANDING
    assert not any(KINDS[name].advice for name in STANDING)  # a clip that is gone says nothing of the next


def test_a_reason_is_short_and_without_its_head() -> None:
    assert plain("ERROR: [youtube:tab] AAAAAAAAAAA: Private  video\n" + "x" * 300).startswith("Private video x")
    assert len(plain("x" * 300)) == 200
