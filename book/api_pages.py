"""The pages of the library: `api` has the method in the paper's order, each package has a page of its own."""

import ast
import re
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1] / "uspl"
METHOD = """# Library: the method

The modules of the method, in the order of the paper's equations. A name links to its source. What is around the method
has a page for each package:

{rooms}

"""


def pages(library: Path = LIBRARY) -> dict[str, str]:
    """Name of a page -> its text. A module that is new in a package, or a package that is new, appears by itself.

    Raises:
        ValueError: a package whose `__init__.py` does not say what it is for.
    """
    rooms = {path.parent.name: path.parent for path in sorted(library.glob("*/__init__.py"))}
    told = {name: ast.get_docstring(ast.parse((room / "__init__.py").read_text())) for name, room in rooms.items()}
    if silent := [name for name, says in told.items() if not says]:
        raise ValueError(f"`{library.name}/{silent[0]}/__init__.py` must say in a docstring what the package is for.")
    lines = [f"- {{doc}}`{name} <api_{name}>`: {says.splitlines()[0]}" for name, says in told.items() if says]
    method = "\n".join(_module(path, library, "##") for path in sorted(library.glob("[!_]*.py"), key=_place))
    found = {"api": METHOD.format(rooms="\n".join(lines)) + method}
    for name, room in rooms.items():
        inside = [p for p in sorted(room.rglob("*.py")) if p.name == "__init__.py" or p.name[0] != "_"]
        first, *others = sorted(inside, key=lambda p: p.parent if p.name == "__init__.py" else p.with_suffix(""))
        text = [f"# Library: {name}\n", _module(first, library), *(_module(p, library, "##") for p in others)]
        found[f"api_{name}"] = "\n".join(text)
    return found


def _place(path: Path) -> tuple[int, str]:
    """By the first equation that has a function there; modules without one behind, by name."""
    numbers = re.findall(r'^    r?"""Eq\. \((\d+)\):', path.read_text(), re.MULTILINE)
    return min(map(int, numbers), default=99), path.stem


def _module(path: Path, library: Path, heading: str = "") -> str:
    name = ".".join(path.relative_to(library.parent).with_suffix("").parts).removesuffix(".__init__")
    block = f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n   :ignore-module-all:\n```\n"
    return f"{heading} {name}\n\n{block}" if heading else block
