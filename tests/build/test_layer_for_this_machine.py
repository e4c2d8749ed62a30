"""The layer of the local stack: made once, and again exactly when its inputs change."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from local import build
from local.build import BuildFailed, layer_zip
from tests.build.checkout import ROOT


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A copy of the layer's sources, without libraries so that it builds at once."""
    folder = tmp_path / "layers"
    (folder / "straight_through").mkdir(parents=True)
    (folder / "straight_through" / "names.py").write_text("NAME = 1\n")
    (folder / "quantemplate").mkdir()
    (folder / "requirements.txt").write_text("")
    shutil.copy(ROOT / "layers" / "Makefile", folder)
    rule = (
        (folder / "Makefile").read_text().replace('find "$(SITE)/botocore/data"', "find /dev/null")
    )
    (folder / "Makefile").write_text(rule)
    return folder


def test_the_layer_holds_the_package_under_python(layers: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(layer_zip(layers, tmp_path / "cache")) as archive:
        assert archive.read("python/straight_through/names.py") == b"NAME = 1\n"


def test_unchanged_inputs_build_nothing(
    layers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    made = layer_zip(layers, tmp_path / "cache")
    monkeypatch.setattr(build, "build_layer", lambda *_: pytest.fail("built again"))
    # When files that are no inputs come and go
    (layers / "straight_through" / "__pycache__").mkdir()
    (layers / "straight_through" / "__pycache__" / "names.pyc").write_bytes(b"x")
    (layers / "straight_through" / "names.py").touch()
    # Then
    assert layer_zip(layers, tmp_path / "cache") == made


@pytest.mark.parametrize("changed", ["straight_through/names.py", "Makefile", "requirements.txt"])
def test_a_changed_input_builds_anew_and_the_old_layer_goes(
    layers: Path, tmp_path: Path, changed: str
) -> None:
    # Given
    before = layer_zip(layers, tmp_path / "cache")
    # When
    with (layers / changed).open("a") as file:
        file.write("# changed\n")
    # Then
    after = layer_zip(layers, tmp_path / "cache")
    assert after != before
    assert list((tmp_path / "cache").iterdir()) == [after]


def test_a_build_that_fails_says_why_and_leaves_nothing(layers: Path, tmp_path: Path) -> None:
    (layers / "requirements.txt").write_text("boto3==1.0.0\n")  # without its hash
    with pytest.raises(BuildFailed, match="hash"):
        layer_zip(layers, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_builds_of_the_same_are_the_same_bytes(layers: Path, tmp_path: Path) -> None:
    one, two = (layer_zip(layers, tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one == two


def test_libraries_are_compiled_for_wherever_the_layer_is_unpacked(
    layers: Path, tmp_path: Path
) -> None:
    # Given a layer with a library
    with (layers / "Makefile").open("a") as rule:
        rule.write('\tmkdir "$(SITE)/library"; echo "A = 1" >"$(SITE)/library/__init__.py"\n')
    # When it is built twice
    one, two = (layer_zip(layers, tmp_path / name) for name in ("one", "two"))
    # Then both are the same bytes, and the library alone is compiled: our own lines are traced
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        (compiled,) = (name for name in archive.namelist() if name.endswith(".pyc"))
        header = archive.read(compiled)[:8]
    assert compiled.startswith("python/library/__pycache__/")
    # and Python asks for no time of its source, which each unpacking changes (PEP 552)
    assert int.from_bytes(header[4:], "little") == 0b01


# --- make --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("can", "said"),
    [
        ("nothing", "there is no"),
        ("3.9", "Python 3.11 or newer is needed; Python 3.9.2 was found"),
        ("3.12", "apt install python3.12-venv"),
    ],
)
def test_make_says_what_to_install_where_python_cannot_make_an_environment(
    tmp_path: Path, can: str, said: str
) -> None:
    # Given a fresh checkout, and a Python that is missing, too old, or without venv
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "local").mkdir()
    shutil.copy(ROOT / "local" / "uv.txt", tmp_path / "local")
    python = tmp_path / "fake-python"
    if can != "nothing":
        old = "1" if can == "3.9" else "0"
        python.write_text(
            "#!/bin/sh\n"
            'case "$*" in\n'
            "  --version) echo Python 3.9.2 ;;\n"
            f"  *'sys.exit(sys.version_info'*) exit {old} ;;\n"
            f"  *print*) echo {can} ;;\n"
            "  *) echo 'No module named ensurepip' >&2; exit 1 ;;\n"
            "esac\n"
        )
        python.chmod(0o755)
    # When
    made = subprocess.run(  # noqa: S603 - a target of this test
        ["make", ".venv/bin/uv", f"PYTHON={python}"],  # noqa: S607 - as a person types it
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    # Then
    assert made.returncode != 0
    assert said in made.stdout
    assert not (tmp_path / ".venv").exists()
