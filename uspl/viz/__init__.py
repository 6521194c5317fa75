"""All that plots: figures, players, live figures and their scripts."""

from uspl.viz.draw import (
    figure,
    heat,
    live,
    maps_figure,
    overlay,
    picture,
    player,
    refused,
    render,
    row,
    show,
    sweep,
    video,
)

__all__ = [
    "figure",
    "heat",
    "live",
    "maps_figure",
    "overlay",
    "picture",
    "player",
    "refused",
    "render",
    "row",
    "show",
    "sweep",
    "video",
]
