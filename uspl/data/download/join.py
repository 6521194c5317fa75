"""Pictures and sound that came as two files, in one: the packets are copied, nothing is decoded."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Set
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream


def kinds(file: Path) -> Set[str]:
    """Which of "video" and "audio" a file holds; empty where it is no media file."""
    try:
        with av.open(str(file)) as box:
            return {stream.type for stream in box.streams if stream.type in ("video", "audio")}
    except (av.FFmpegError, OSError):
        return set()


def join(pictures: Path, sound: Path, target: Path) -> None:
    """Write the first picture track of one file and the first sound track of another to a Matroska file."""
    with (
        av.open(str(pictures)) as seen,
        av.open(str(sound)) as heard,
        av.open(str(target), "w", format="matroska") as out,
    ):
        tracks = [(seen, seen.streams.video[0]), (heard, heard.streams.audio[0])]
        copies = {stream.type: out.add_stream_from_template(stream) for _, stream in tracks}
        for packet in heapq.merge(*(_packets(*track) for track in tracks), key=_begin):
            packet.stream = copies[packet.stream.type]
            out.mux(packet)


def _packets(box: InputContainer, stream: Stream) -> Iterator[Packet[Stream]]:
    return (packet for packet in box.demux(stream) if packet.dts is not None)


def _begin(packet: Packet[Stream]) -> float:
    """Seconds at which a packet is due."""
    return float(packet.dts * packet.time_base)  # type: ignore[operator]
