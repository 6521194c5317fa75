"""A module that has another name today is refused with it."""

import importlib

import pytest

from uspl.core.old_names import MOVED


@pytest.mark.parametrize("name", MOVED)
def test_the_new_name_is_told(name: str) -> None:
    with pytest.raises(ImportError, match=rf"^`uspl\.{name}` is now `uspl\.{MOVED[name]}`\.$"):
        importlib.import_module(f"uspl.{name}")


def test_the_usual_ways_to_import() -> None:
    with pytest.raises(ImportError, match=r"^`uspl\.watch` is now `uspl\.video\.frame_maps`\.$"):
        from uspl.watch import watch  # noqa: F401
    with pytest.raises(ImportError, match=r"^`uspl\.vsl` is now `uspl\.metrics\.localization`\.$"):
        from uspl import vsl  # noqa: F401


@pytest.mark.parametrize("name", sorted(set(MOVED.values())))
def test_the_new_name_is_there(name: str) -> None:
    importlib.import_module(f"uspl.{name}")


def test_a_name_that_never_was_is_python_s_own_matter() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'uspl\.nonsense'$"):
        importlib.import_module("uspl.nonsense")
    from uspl import evaluate

    assert callable(evaluate)
