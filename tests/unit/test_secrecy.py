"""Neither the secret, nor a token, nor a file's content is ever logged, raised or returned."""

import json
import traceback
from typing import Any
from urllib.parse import quote

import pytest

from straight_through.errors import StraightThroughError
from straight_through.queue.table import Table
from tests.unit.conftest import OUTBOX, Event, Handler, give_turn
from tests.unit.wire import DATASET, EXECUTIONS, TOKEN_PATH, Reply, Wire, json_reply, token_reply

SECRET, TOKEN, CONTENT = "s3cr3t", "t0ken-of-access", b"Erika Mustermann,1.00"
MARKED = (SECRET, TOKEN, CONTENT.decode())
OUTPUT_PATH = f"{EXECUTIONS}/e-7/outputs/o-1"

RUN = {
    "id": "e-7",
    "runNumber": 7,
    "status": "Succeeded",
    "createdAt": "2026-05-04T08:15:33Z",
    "outputs": [{"id": "o-1", "name": "Clean"}],
}
TROUBLE = [
    {},
    {("POST", TOKEN_PATH): Reply(401, b"no")},
    {("POST", TOKEN_PATH): Reply(hang_up=True)},
    {("POST", TOKEN_PATH): Reply(200, b'{"access_token": "t0ken-of-access"')},
    {("POST", TOKEN_PATH): json_reply({"access_token": TOKEN, "expires_in": "t0ken-of-access"})},
    {("POST", TOKEN_PATH): token_reply("t0ken-of-access\n")},
    {("GET", EXECUTIONS): Reply(401)},
    {("GET", EXECUTIONS): Reply(hang_up=True)},
    {("GET", EXECUTIONS): json_reply([RUN | {"status": "Failed"}])},
    {("POST", DATASET): Reply(hang_up=True)},
    {("POST", DATASET): Reply(403)},
    {("POST", EXECUTIONS): Reply(503)},
    {("GET", OUTPUT_PATH): Reply(body=CONTENT, missing=3)},
    {("GET", OUTPUT_PATH): Reply(body=CONTENT, headers={"Content-Type": "text/html"})},
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda trouble: " ".join(map(repr, trouble)))
@pytest.mark.parametrize("name", ["upload_and_execute", "check_status", "download_output"])
def test_nothing_marked_comes_out(
    handler: Any,
    s3: Any,
    wire: Wire,
    event: Event,
    table: Table,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    name: str,
    trouble: dict[tuple[str, str], Reply],
) -> None:
    # Given marked values everywhere, full logging, and a Quantemplate with this trouble
    caplog.set_level("DEBUG", logger=name)
    replies = {
        ("POST", TOKEN_PATH): token_reply(TOKEN),
        ("GET", EXECUTIONS): json_reply([RUN]),
        ("POST", DATASET): Reply(200),
        ("POST", EXECUTIONS): json_reply(RUN),
        ("GET", OUTPUT_PATH): Reply(body=CONTENT),
    }
    for (method, path), reply in (replies | trouble).items():
        wire.answer(method, path, reply)
    given = event(name)
    if name == "upload_and_execute":
        source = event("check_status")["record"]["source"]
        source = {field: source[field] for field in source.keys() - {"sha256", "rows"}}
        put = s3.put_object(Bucket=source["bucket"], Key=source["key"], Body=CONTENT)
        kept = {"version_id": put["VersionId"], "etag": put["ETag"].strip('"')}
        give_turn(table, given, source | kept | {"size": len(CONTENT)})
    # When the step is run
    run: Handler = handler(name)
    try:
        said = json.dumps(run(given))
    except StraightThroughError as error:
        said = "".join(traceback.format_exception(error)) + repr(vars(error))
    # Then nothing that comes out of it shows one of them
    captured = capsys.readouterr()
    everything = said + captured.out + captured.err + caplog.text
    assert [mark for mark in MARKED if mark in everything] == []
    # And the stored output's metadata is its run, its source's key and version, and nothing else
    for stored in s3.list_objects_v2(Bucket=OUTBOX).get("Contents", []):
        metadata = s3.head_object(Bucket=OUTBOX, Key=stored["Key"])["Metadata"]
        assert metadata == {
            "run": given["run"],
            "source-key": quote(given["source"]["key"]),
            "source-version": given["source"]["version_id"],
        }
    assert wire.requests
