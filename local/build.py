"""What goes to Lambda, built for this machine: the layer and each function's folder, zipped."""

import compileall
import hashlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

LAYER_INPUTS = ("Makefile", "requirements.txt", "quantemplate/**/*", "straight_through/**/*")
OWN = ("quantemplate", "straight_through")
FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same content gives the same zip
MAKE_STATE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}  # of the make that runs us


class BuildFailed(Exception):
    """The layer could not be built; the message ends with the builder's own words."""


def layer_zip(layers: Path, cache: Path) -> Path:
    """The layer of `layers`, built for this machine; made anew only when its inputs changed."""
    inputs = sorted(set(source_files(layers, LAYER_INPUTS)))
    target = cache / f"layer-{digest(layers, inputs)}.zip"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:
            build_layer(layers, Path(made))
            whole = Path(made) / "whole.zip"
            whole.write_bytes(zipped(made, Path(made).rglob("python/**/*")))
            whole.replace(target)  # at once: another stack may be building the same
        for old in cache.glob("layer-*.zip"):
            if old != target:
                old.unlink(missing_ok=True)
    return target


def function_zip(folder: Path) -> bytes:
    """A function's artefact: its folder's Python files."""
    return zipped(folder, folder.glob("*.py"))


def source_files(folder: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """The files that match, without compiled ones."""
    for pattern in patterns:
        for path in folder.glob(pattern):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def digest(folder: Path, files: Iterable[Path]) -> str:
    """A name for the files' paths and contents on this machine's Python."""
    machine = f"{sys.implementation.cache_tag} {sysconfig.get_platform()} compiled"
    value = hashlib.sha256(machine.encode())
    for path in files:
        content = path.read_bytes()
        value.update(f"\0{path.relative_to(folder)}\0{len(content)}\0".encode())
        value.update(content)
    return value.hexdigest()[:16]


def build_layer(layers: Path, target: Path) -> None:
    """Run the layer's own rule for this machine; raises BuildFailed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    made = subprocess.run(
        [
            "make",
            "-C",
            layers,
            "build-Layer",
            f"ARTIFACTS_DIR={target.resolve()}",
            "PLATFORM=",
            f"PYTHON={version}",
        ],
        env={name: value for name, value in environment.items() if name not in MAKE_STATE},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        shutil.rmtree(target / "python", ignore_errors=True)
        raise BuildFailed(f"the layer could not be built:\n{made.stderr.strip()}")
    compile_libraries(target / "python")


def compile_libraries(folder: Path) -> None:
    """Compile the layer's libraries: each local AWS unpacks it anew, and would compile them anew.

    Not our own packages, so that a traceback has their lines.
    """
    for library in folder.iterdir():
        if library.is_dir() and library.name not in OWN:
            compileall.compile_dir(
                library,
                quiet=2,
                stripdir=folder.parent,
                prependdir="/opt",  # where Lambda has a layer; the same content gives the same zip
                invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            )


def zipped(folder: Path | str, files: Iterable[Path]) -> bytes:
    """A zip of the files, named relative to the folder; the same content gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(files):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), FIXED_TIME)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()
