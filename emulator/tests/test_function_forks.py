"""Functions' processes are forked from one that has imported the libraries of their layers."""

import os
import signal
from pathlib import Path

import pytest

from emulator.tests.account import Account, eventually, packed
from emulator.tests.processes import function_processes

# A library tells when and where it was imported, and what it saw; so does what is no library.
TELLS = "import os\nWHERE, SAW = os.getpid(), os.environ.get('COLOUR')\n"
SEES = """
import os, library, plain

def handler(event, context):
    return {"pid": os.getpid(), "library": [library.WHERE, library.SAW],
            "plain": [plain.WHERE, plain.SAW], "colour": os.environ["COLOUR"]}
"""
OTHER = """
import os, time

def handler(event, context):
    time.sleep(event or 0)
    return [os.getpid(), os.getppid()]
"""


def layer(account: Account, **more: str) -> str:
    """A layer with a library and a module that is none."""
    files = {
        "python/library/__init__.py": TELLS,
        "python/library-1.0.dist-info/RECORD": "library/__init__.py,,\n",
        "python/plain.py": TELLS,
    }
    published = account.client("lambda").publish_layer_version(
        LayerName="libraries", Content={"ZipFile": packed(files | more)}
    )
    return str(published["LayerVersionArn"])


def coloured(colour: str) -> dict[str, dict[str, str]]:
    """An environment by which a function is told apart."""
    return {"Variables": {"COLOUR": colour}}


def test_libraries_are_imported_once_and_what_is_no_library_by_each_process(
    account: Account,
) -> None:
    # Given two functions with one layer, each with an environment of its own
    arn = layer(account)
    red, blue = (
        account.function(SEES, Layers=[arn], Environment=coloured(colour))
        for colour in ("red", "blue")
    )
    # When both run
    seen = [account.invoked(function) for function in (red, blue)]
    # Then the library was imported before either, without the environment of any
    assert seen[0]["library"] == seen[1]["library"] == [seen[0]["library"][0], None]
    # And the module by each, with its own
    assert [each["plain"] for each in seen] == [[seen[0]["pid"], "red"], [seen[1]["pid"], "blue"]]
    assert [each["colour"] for each in seen] == ["red", "blue"]


def test_what_cannot_be_imported_is_the_matter_of_who_needs_it(account: Account) -> None:
    # Given a layer with a library that only fails
    broken = {
        "python/broken.py": "raise LookupError('as it is imported')",
        "python/broken-1.0.dist-info/RECORD": "broken.py,,\n",
    }
    arn = layer(account, **broken)
    # Then who does not import it runs, and who does fails by it
    fine = account.function(SEES, Layers=[arn], Environment=coloured("red"))
    assert account.invoked(fine)["colour"] == "red"
    failing = account.function("import broken", Layers=[arn])
    assert account.invoked(failing)["errorType"] == "LookupError"


def test_another_layer_or_a_setting_of_pythons_own_has_a_process_of_its_own(
    account: Account,
) -> None:
    def parent(**settings: object) -> int:
        return int(account.invoked(account.function(OTHER, **settings))[1])

    # Given functions that share all, and one with a layer, and one whose Python is told something
    arn = layer(account)
    told = {"Variables": {"PYTHONHASHSEED": "1"}}
    # Then only the first are forked from one process
    parents = [parent(), parent(), parent(Layers=[arn]), parent(Environment=told)]
    assert len(set(parents)) == 3
    assert parents[0] == parents[1]


def test_where_that_process_is_killed_the_next_function_has_another(account: Account) -> None:
    # Given a function with a warm process
    function = account.function(OTHER)
    process, parent = account.invoked(function)
    # When that from which it was forked is killed
    os.kill(parent, signal.SIGKILL)
    # Then it goes with it, and the next invocation gets another, from another
    eventually(lambda: process not in [each.pid for each in function_processes(account.endpoint)])
    after = account.invoked(function)
    assert after[0] != process
    assert after[1] != parent


def test_processes_are_listed_by_their_functions_until_they_end(account: Account) -> None:
    # Given a function with a warm process
    function = account.function(OTHER)
    process, _ = account.invoked(function)
    name = function.split(":")[-1]
    (listed,) = function_processes(account.endpoint, name)
    assert listed.pid == process
    # When it ends
    listed.kill()
    # Then it is listed no longer, and nothing of it is left
    eventually(lambda: not function_processes(account.endpoint, name))
    assert not Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("code", [0, 3])
def test_how_a_process_ends_is_told(account: Account, code: int) -> None:
    function = account.function(f"import os\ndef handler(event, context): os._exit({code})")
    error = account.invoked(function)
    assert error["errorMessage"].endswith(f"Runtime exited with error: exit status {code}")
