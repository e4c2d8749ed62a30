"""Whatever goes wrong in a function of the road leaves it with one of our names."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from straight_through.boundary import only_named_errors
from straight_through.errors import (
    AwsDenied,
    AwsRefused,
    AwsUnavailable,
    HeaderMismatch,
    StraightThroughError,
    Unforeseen,
)
from straight_through.queue.table import Table
from straight_through.text import LONGEST_MESSAGE
from tests.unit.conftest import Event, Handler

CONTENT = "Erika Mustermann,s3cr3t"
SOURCE = {"bucket": "inbox", "key": "claims/may.csv"}
EVENTS = {
    "take_turn": {"execution": {"Input": SOURCE}},
    "check_status": {"execution": {"Input": SOURCE}, "record": {"source": SOURCE, "route": "c"}},
    "download_output": {"source": SOURCE, "route": "c", "output": {"name": "x"}},
    "no_file": {"record": {"source": None, "route": "c"}},
    "odd": {"execution": None, "record": ["x"], "source": "y", "route": None},
}
FILELESS = ("no_file", "odd")
ROAD = ("take_turn", "upload_and_execute", "check_status", "download_output", "publish_run")


def refusal(status: int, code: str) -> ClientError:
    """What AWS answers."""
    answer = {
        "Error": {"Code": code, "Message": "User: arn:aws:sts::1 is not authorized"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "GetItem")  # type: ignore[arg-type]


def ending_with(error: Exception) -> Any:
    """A handler that ends so."""

    @only_named_errors
    def handler(_event: dict[str, Any], _context: object) -> None:
        raise error

    return handler


UNFORESEEN = [
    TypeError(CONTENT),
    KeyError(CONTENT),
    RecursionError(CONTENT),
    OverflowError(CONTENT),
    UnicodeEncodeError("utf-8", CONTENT + "\ud800", 23, 24, "surrogates not allowed"),
    json.JSONDecodeError("no", CONTENT, 0),
    ParamValidationError(report=CONTENT),
    MemoryError(CONTENT),
]


@pytest.mark.parametrize("about", EVENTS)
@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_what_nobody_foresaw_has_one_name_its_file_and_place_and_no_content(
    error: Exception, about: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # When a handler ends with what nobody foresaw
    with pytest.raises(Unforeseen) as raised:
        ending_with(error)(EVENTS[about], None)
    # Then the message has its kind and place, the file and the route
    message = str(raised.value)
    assert f"Nobody foresaw this: {type(error).__name__} at " in message
    assert f"{__name__}:" in message
    assert ("[file s3://inbox/claims/may.csv, route " in message) == (about not in FILELESS)
    # And it speaks of the inbox where there is a file
    assert ("the file is in the inbox still" in message) == (about not in FILELESS)
    # And neither it nor the log has what the error was about
    assert CONTENT not in message
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    written = capsys.readouterr()
    assert CONTENT not in written.out + written.err


def test_the_place_is_the_deepest_one_of_ours() -> None:
    @only_named_errors
    def handler(_event: dict[str, Any], _context: object) -> None:
        Table(None, "turns").get(("a", "b"))  # type: ignore[arg-type]

    with pytest.raises(
        Unforeseen, match=r"AttributeError at straight_through\.queue\.table:\d+\. "
    ):
        handler({}, None)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://s3"),
        refusal(503, "ServiceUnavailable"),
        refusal(400, "ThrottlingException"),
    ],
)
def test_what_passes_by_itself_at_aws_is_tried_again(error: Exception) -> None:
    with pytest.raises(AwsUnavailable):
        ending_with(error)(EVENTS["take_turn"], None)


def test_what_aws_refuses_has_a_name_its_file_and_aws_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = r"AWS refused GetItem \(400 ValidationException: User.*may.csv, route not known\]"
    with pytest.raises(AwsRefused, match=told):
        ending_with(refusal(400, "ValidationException"))(EVENTS["take_turn"], None)
    # And the log says where
    assert vars(caplog.records[-1])["place"].startswith(f"{__name__}:")


@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied", "AuthorizationError"])
def test_what_aws_denies_to_the_role_has_a_name_that_is_tried_again(code: str) -> None:
    told = rf"denied GetItem \({code}: User.*redrive"
    with pytest.raises(AwsDenied, match=told):
        ending_with(refusal(400, code))(EVENTS["take_turn"], None)


def test_the_messages_of_our_own_errors_are_bounded_and_keep_their_end() -> None:
    error = HeaderMismatch("It is wrong: " + "\ud800\x1b" * 9000 + " Mend it. [file x, route y]")
    with pytest.raises(HeaderMismatch) as raised:
        ending_with(error)({}, None)
    assert len(str(raised.value).encode()) <= LONGEST_MESSAGE
    assert str(raised.value).endswith(" Mend it. [file x, route y]")


@pytest.mark.parametrize("name", ROAD)
def test_each_function_of_the_road_ends_so(
    handler: Any, event: Event, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given an event that the state machine never gives
    call: Handler = handler(name)
    with pytest.raises(StraightThroughError) as raised:
        call({**event(name), "execution": CONTENT, "output": CONTENT})
    # Then its end has our name all the same
    assert isinstance(raised.value, Unforeseen)
    assert "s3cr3t" not in str(raised.value) + capsys.readouterr().out
