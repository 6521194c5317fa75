"""What the site's refusals mean: yt-dlp's sentences, each with its class."""

import re
from typing import NamedTuple


class Kind(NamedTuple):
    """A class of refusals."""

    stands: bool = False  # is not asked for again unless `--again` says so
    advice: str = ""  # what to do where refusals in a row stop the run; without it they do not


KINDS = {
    "rate": Kind(advice="the site has had enough of us"),
    "blocked": Kind(stands=True),  # not shown in this country
    "age": Kind(stands=True),  # shown to grown-ups who sign in
    "private": Kind(stands=True),  # shown to those invited, or who pay
    "runtime": Kind(advice="`pip install -U deno 'yt-dlp[default]'` brings what reads the site's JavaScript"),
    "format": Kind(advice="no film has 480 lines or fewer, so yt-dlp or its JavaScript runtime may be too old"),
    "client": Kind(advice="update yt-dlp, the site has changed"),
    "network": Kind(advice="the line or the site is down"),
    "unclear": Kind(),  # not there, for a reason that may pass
    "gone": Kind(stands=True),
    "large": Kind(stands=True),  # larger than allowed
    "later": Kind(advice="what the site says is not known here"),
}
STANDING = frozenset(name for name, kind in KINDS.items() if kind.stands)

# In this order: the first that fits. "Video unavailable" begins sentences of every class.
SENTENCES = [
    ("large", r"larger than"),
    ("runtime", r"javascript runtime|js runtime|n challenge solving failed|challenge solver"),
    (
        "rate",
        r"rate-?limit|\b429\b|too many requests|not a (?:ro)?bot|captcha|try again later|ip (?:address )?is likely",
    ),
    ("rate", r"unusual traffic|protect our community|^please sign in"),
    ("blocked", r"in your (?:country|region|location)|from your (?:country|region|location)|geo.?restrict"),
    ("age", r"confirm your age|age.?restricted|inappropriate for some users"),
    ("private", r"private|members[- ]only|join this channel|requires (?:payment|purchase)|music premium|invite"),
    ("client", r"on this app|page needs to be reloaded|player response|po.?token|signature|drm|\b403\b|forbidden"),
    ("format", r"requested format|only images|no video formats"),
    ("network", r"timed? ?out|connection|network|resolve|getaddrinfo|\bssl\b|http error 5\d\d|unable to download"),
    ("gone", r"been removed|removed by|terminated|closed|does not exist|deleted|copyright|no longer available"),
    ("gone", r"recording is not available|violat|video (?:is )?unavailable\.?$"),
    ("unclear", r"not available|unavailable|premieres|live event|processing this video|offline"),
]
_RULES = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in SENTENCES]


class Unavailable(Exception):
    """A video that did not come; `kind` is a key of KINDS, the message the site's own reason."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def plain(error: object) -> str:
    """A sentence of yt-dlp without colours and its own head, at most 200 characters."""
    says = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).replace("\u2019", "'")
    return " ".join(re.sub(r"^\s*ERROR:\s*|\[[\w:+]+\] [\w-]{11}:", "", says).split())[:200]


def classify(sentence: str) -> str:
    """The class of a refusal, a key of KINDS; "later" for what nobody has seen.

    >>> classify("Video unavailable. This video has been removed by the uploader")
    'gone'
    >>> classify("Video unavailable. The uploader has not made this video available in your country")
    'blocked'
    """
    text = plain(sentence)
    return next((name for name, rule in _RULES if rule.search(text)), "later")
