"""The README's way from nothing to a deployed route, on the local AWS."""

import pytest

from local.process import ROOT
from tests.docs.pages import blocks, text_of
from tests.docs.reader import Reader

README = text_of("README.md")
MINUTES = README[README.index("## Ten minutes") : README.index("## Documents")]
STACK = "ten-minutes"


@pytest.mark.timeout(600)
def test_the_ten_minutes_lead_to_a_run(reader: Reader) -> None:
    # Given a reader whose Quantemplate is the stand-in
    email = "NotificationEmail=you@example.com"
    urls = {
        "QuantemplateApiUrl": reader.stand_in.api_url,
        "QuantemplateTokenUrl": reader.stand_in.token_url,
    }
    parameters = " ".join([email, *(f"{name}={url}" for name, url in urls.items())])
    reader.stack = STACK
    ours = {"straight-through": STACK, email: parameters, "$PWD/": f"{ROOT}/"}
    reader.replaced = ours | reader.replaced  # whose client is called as the stack
    build, credentials, route, drop = blocks(MINUTES, "sh")
    # When the commands are typed
    assert f"Successfully created/updated stack - {STACK}" in reader.types(build, ROOT)
    reader.types(credentials)
    applied = reader.types(route)
    # Then they say what the README says
    shown = blocks(MINUTES, "")
    assert applied == shown[1]
    # And the dropped file comes back
    assert reader.types(drop).splitlines() == shown[2].splitlines()[-3:]
    assert sorted(path.name for path in (reader.folder / "out").iterdir()) == [
        "Clean claims_ Sheet 1.csv",
        "Mapping report_ Sheet 1.csv",
        "Validation report_ Sheet 1.csv",
    ]
    # And nothing is amiss
    assert ": 0 failed, " in reader.types("stp doctor")


def test_the_first_commands_on_one_machine_are_those_of_the_makefile(reader: Reader) -> None:
    # Given what is typed after make up, where the stack is the local one already
    (play,) = blocks(README[: README.index("## Ten minutes")], "sh")
    reader.replaced |= {
        ". .local/stack.env\n": "",
        "$PWD/": f"{ROOT}/",
        "local/samples": f"{ROOT}/local/samples",
    }
    # When it is typed
    said = reader.types(play)
    # Then the outputs come, and the run is listed
    assert "Clean claims_ Sheet 1.csv  347 rows" in said
    assert "✓ Succeeded" in said
