"""What the emulator replaces in its libraries: each name is there, and is replaced once."""

import importlib
import sys
import types
from pathlib import Path

import pytest

from emulator.seams import PinError, leave_out, replace, replace_item, replaced, seam


def library() -> types.ModuleType:
    """A library with a function and a table of functions."""
    made = types.ModuleType(f"library-{len(replaced())}")
    made.__dict__.update(_answer=lambda: "its", _handlers={"s3": lambda: "its"})
    return made


def test_a_name_is_replaced_once() -> None:
    # Given a name that a part has replaced
    ministack = library()
    replace(ministack, "_answer", lambda original: lambda: f"ours for {original()}")
    assert ministack._answer() == "ours for its"
    # When another part replaces it, then that is refused, and the first stays
    with pytest.raises(PinError, match="_answer is replaced by two parts"):
        replace(ministack, "_answer", lambda original: lambda: f"another for {original()}")
    assert ministack._answer() == "ours for its"


def test_an_entry_of_a_table_is_replaced_once() -> None:
    ministack = library()
    replace_item(ministack, "_handlers", "s3", lambda original: lambda: f"ours for {original()}")
    replace_item(ministack, "_handlers", "new", lambda original: lambda: original)
    assert ministack._handlers["s3"]() == "ours for its"
    assert ministack._handlers["new"]() is None
    with pytest.raises(PinError, match=r"_handlers\[s3\] is replaced by two parts"):
        replace_item(ministack, "_handlers", "s3", lambda original: original)


def test_a_name_that_a_library_no_longer_has_is_told() -> None:
    with pytest.raises(PinError, match="_gone does not exist; this code needs ministack"):
        seam(library(), "_gone")


def test_a_package_is_left_out_and_its_modules_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a package that imports much, and a module of it that imports little
    (tmp_path / "far_reaching").mkdir()
    (tmp_path / "far_reaching" / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "far_reaching" / "words.py").write_text("WORDS = 'its'")
    monkeypatch.syspath_prepend(tmp_path)
    # When it is left out, then the module is imported by itself
    leave_out("far_reaching")
    assert importlib.import_module("far_reaching.words").WORDS == "its"
    for name in ("far_reaching", "far_reaching.words"):
        monkeypatch.delitem(sys.modules, name)


def test_a_package_that_there_is_not_is_told() -> None:
    with pytest.raises(PinError, match="there is no such_package_anywhere; this code needs moto"):
        leave_out("such_package_anywhere")
