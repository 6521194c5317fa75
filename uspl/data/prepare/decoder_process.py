"""Cuts clips in a process of its own: a line of JSON in, a line of JSON out, so that a hang or crash costs one clip.

Started by `dask_worker`; ends when its standard input does.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

from PIL import Image

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.core.files import write
from uspl.data.prepare.pcm import extension, pcm16, silent, stored, wav
from uspl.media.decode import clip_at

SECONDS = 3.0  # of sound around the moment
QUALITY = 95  # of the JPEG
ORPHAN = 60  # s after which a decoder that hangs ends by itself, if nobody is left to end it


def places(root: Path, id: str) -> tuple[Path, Path]:
    """Where a clip's frame and sound go."""
    return root / "frames" / f"{id}.jpg", root / "audio" / f"{id}.wav"


def finished(root: Path, id: str, source: Path | None) -> bool:
    """Are both files there, and younger than their source? The sound is written last: its time is the clip's."""
    frame, sound = places(root, id)
    try:
        since = source.stat().st_mtime if source is not None else 0.0
        return frame.stat().st_size > 0 and sound.stat().st_size > 0 and sound.stat().st_mtime >= since
    except OSError:
        return False


def cut(id: str, source: str, root: str, at: float | None) -> tuple[str, str]:
    """Write a clip's frame and sound; status and reason. A finished clip is only looked at."""
    film, (frame, sound) = Path(source), places(Path(root), id)
    try:
        notes: list[str] = []
        if finished(Path(root), id, film):
            pcm = stored(sound)
        else:
            picture, samples = clip_at(film, at, seconds=SECONDS, sr=RATE, notes=notes)
            pcm = pcm16(samples.numpy())
            buffer = io.BytesIO()
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(buffer, "jpeg", quality=QUALITY)
            write(frame, buffer.getvalue())
            write(sound, wav(pcm))
        notes.insert(0, extension(film))
    except DataError as error:
        for path in (sound, frame):
            path.unlink(missing_ok=True)
        return "bad", error.reason
    if silent(pcm):
        return "silent", "holds digital silence"
    if len(pcm) < (SECONDS - 0.25) * RATE:
        notes.append(f"is short: {len(pcm) / RATE:.2f} s of sound, {SECONDS:g} s are wanted")
    odd = "; ".join(filter(None, notes))
    return ("odd", odd) if odd else ("ok", "")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a decoder that talks must not answer for us
    _answer(answers, "ready")
    for line in sys.stdin:
        signal.alarm(ORPHAN)
        try:
            status, reason = cut(**json.loads(line))
        except Exception as error:  # whatever a decoder throws is about this clip
            status, reason = "bad", f"cannot be decoded ({type(error).__name__}: {error})"
        signal.alarm(0)
        _answer(answers, [status, " ".join(reason.split())[:300]])


def _answer(to: TextIO, what: object) -> None:
    to.write(json.dumps(what) + "\n")
    to.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # nobody is left to answer
        os._exit(0)
