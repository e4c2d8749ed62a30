"""Release 1.0.0 is updated to what is here while its executions of every kind are under way."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from local.build import layer_zip
from local.deploy import (
    CAPABILITIES,
    STACK_NAME,
    clients,
    deploy,
    outputs_when,
    packaged,
    put_credentials,
)
from local.process import ROOT
from local.quantemplate import Control, running
from local.stack import LOCAL, Quantemplate
from tests.end_to_end.aws import running_aws
from tests.end_to_end.release import unpacked
from tests.end_to_end.road import Route
from tests.end_to_end.stack import TIME_SCALE, make_route
from tests.storm.files import File, Version
from tests.storm.stack import Stack
from tests.storm.verdict import left_over, manifests, overlaps, runs_of_each

RELEASE = "1.0.0"
LONG = 20_000  # rows, which a slow reader takes while the stack is updated
BYTES_PER_SECOND = 40_000.0
GAP = 50  # seconds of the time scale between the two calls that update a function
# With which an execution that 1.0.0 began may end where it meets a function between the two calls.
BETWEEN = {"Runtime.ImportModuleError", "Runtime.UserCodeSyntaxError"}


@pytest.fixture
def stand_in() -> Iterator[Control]:
    """A stand-in Quantemplate."""
    with running(time_scale=float(TIME_SCALE)) as control:
        yield control


class Updated:
    """A stack of the release before, which can be updated to what is here."""

    def __init__(self, stack: Stack, parameters: dict[str, str]) -> None:
        """Remember what it was deployed with."""
        self.stack = stack
        self._parameters = parameters
        self._versions: list[Version] = []

    def update(self) -> None:
        """Update it, each function in two calls with a time between them."""
        client = clients(self.stack.endpoint)
        template = packaged(client("s3"), ROOT, layer_zip(ROOT / "layers", LOCAL / "build"))
        requests.put(
            f"{self.stack.endpoint}/_local/updates", json={"gap_seconds": GAP}, timeout=60
        ).raise_for_status()
        client("cloudformation").update_stack(
            StackName=STACK_NAME,
            TemplateURL=template,
            Parameters=[
                {"ParameterKey": k, "ParameterValue": v} for k, v in self._parameters.items()
            ],
            Capabilities=CAPABILITIES,
        )
        outputs_when(client("cloudformation"), "UPDATE_COMPLETE", lambda _: None)

    # --- what people do ------------------------------------------------------------------------
    def dropped(self, route: Route, rows: int = 1) -> str:
        """Drop a file unlike all others; return its execution once it has begun."""
        key = f"{route.name}/{uuid.uuid4().hex[:8]}.csv"
        content = "reference,amount\n" + f"{uuid.uuid4().hex},100\n" * rows
        file = File(route.name, key, content.encode())
        self._versions.append(Version(file, self.stack.drop(key, file.content)))
        found = self.stack.until(lambda: self.stack.executions_of(key), f"an execution of {key}")
        return str(found[0])

    def until_in(self, arn: str, state: str) -> None:
        """Wait until an execution is in a state, or has submitted what it waits for there."""

        def there() -> bool:
            events = self.stack.history(arn)
            entered = [e for e in events if "stateEnteredEventDetails" in e]
            return bool(entered) and entered[-1]["stateEnteredEventDetails"]["name"] == state

        self.stack.until(there, f"{state} of {arn}")

    def until_queued(self, arn: str) -> None:
        """Wait until an execution waits for its turn."""
        self.stack.until(
            lambda: self.stack.history(arn)[-1]["type"] == "TaskSubmitted", f"the ticket of {arn}"
        )

    def failed(self, arn: str) -> str:
        """The error with which an execution has ended."""
        return self.stack.ended(arn).error

    def steer(self, order: dict[str, str]) -> None:
        """Pause or resume a queue."""
        answer = self.stack.client("lambda").invoke(
            FunctionName="straight-through-pause_queue", Payload=json.dumps(order)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    def redriven(self, arn: str) -> None:
        """Redrive an execution, and wait until it has succeeded."""
        again = self.stack.redrive(self.stack.ended(arn))
        assert again.status == "SUCCEEDED", (again.failed_at, again.cause)

    def succeeded(self, arn: str) -> None:
        """Wait until an execution has succeeded, redriven where it met the update itself."""
        run = self.stack.ended(arn)
        if run.error in BETWEEN:
            run = self.stack.redrive(run)
        assert run.status == "SUCCEEDED", (run.error, run.failed_at, run.cause)

    def until_nothing_is_left(self) -> None:
        """Wait until nothing is left in the table, and no drop was given up.

        An end that meets a function between its two calls is tried after a minute and after two:
        seconds by the time scale, and too few where a busy machine takes long for the second call.
        """
        left: list[str] = []

        def cleared() -> bool:
            left[:] = left_over(self.stack, given_up=("DropsDeadLetters",))
            return not left

        try:
            self.stack.until(cleared, "empty table")
        except AssertionError:
            assert left == []
            raise

    # --- what they see -------------------------------------------------------------------------
    def problems(self, stand_in: Control) -> list[str]:
        """What is not as if each file had been processed once, each in its turn."""
        journal = stand_in.journal()
        return (
            [str(violation) for violation in stand_in.violations()]
            + overlaps(journal)
            + runs_of_each(journal, self._versions)
            + manifests(self.stack, self._versions)
        )


@contextmanager
def release_before(folder: Path, stand_in: Control) -> Iterator[Updated]:
    """The release before on a local AWS of its own, by its own template and layer."""
    root = unpacked(RELEASE, folder)
    layer = layer_zip(root / "layers", LOCAL / "build" / RELEASE)
    options = ("--port", "0", "--time-scale", TIME_SCALE)
    server = Quantemplate(stand_in.api_url, stand_in.token_url)
    parameters = {
        "QuantemplateApiUrl": server.api_url,
        "QuantemplateTokenUrl": server.token_url,
        "LateListSeconds": "2",
    }
    with running_aws(folder / "aws.log", *options) as (endpoint, aws):
        client = clients(endpoint)
        outputs = deploy(client, root, layer, parameters, lambda _: None)
        put_credentials(
            client("secretsmanager"),
            outputs["CredentialsSecretArn"],
            server.client_id,
            server.client_secret,
        )
        yield Updated(Stack(endpoint, outputs, aws), parameters)


def test_an_update_harms_no_run_that_is_under_way(tmp_path: Path, stand_in: Control) -> None:
    with release_before(tmp_path, stand_in) as before:
        stack = before.stack

        def route(output: str = "Copy", **more: Any) -> Route:
            return make_route(stack, stand_in, output, **more)

        def next_run(of: Route, **plan: Any) -> None:
            stand_in.trouble("execute_pipeline", "run", id=of.pipeline_id, run=plan)

        # Given, by release 1.0.0, a run whose pipeline goes on, and one that waits behind it
        busy = route()
        next_run(busy, never_ends=True)
        polling = before.dropped(busy)
        before.until_in(polling, "WaitForPipeline")
        waiting = before.dropped(busy)
        before.until_queued(waiting)
        # And one in a queue that is paused
        closed = route()
        before.steer({"pause": closed.pipeline_id, "reason": "month-end closing"})
        paused = before.dropped(closed)
        before.until_queued(paused)
        # And one that is held by its gate
        gated = route("Report", hold_if_rows=["Report"])
        held = stack.ended(before.dropped(gated))
        assert held.output["status"] == "Held", held.cause
        # And one that failed in Quantemplate, and one that failed at its end
        failing = route()
        next_run(failing, end_status="Failed")
        failed = before.dropped(failing)
        assert before.failed(failed) == "PipelineFailed"
        exporting = route(destinations=[f"s3://no-such-{uuid.uuid4().hex[:8]}/{{output}}.csv"])
        unpublished = before.dropped(exporting)
        assert before.failed(unpublished) == "DestinationFailed"
        # And one that fetches its output, and one that uploads its file, each for long
        fetched = route()
        stand_in.trouble("download_output", "delay", id=fetched.pipeline_id, seconds=10)
        fetching = before.dropped(fetched)
        before.until_in(fetching, "DownloadOutput")
        slow = route()
        stand_in.trouble(
            "upload_dataset", "slow_read", id=slow.dataset_id, bytes_per_second=BYTES_PER_SECOND
        )
        uploading = before.dropped(slow, rows=LONG)
        stack.until(
            lambda: [
                each
                for each in stand_in.journal("upload_started")
                if each["dataset"] == slow.dataset_id
            ],
            "the upload",
        )

        # When the stack is updated under them
        before.update()
        # And what is to be done by people is done
        stand_in.finish(stand_in.pipelines()[busy.pipeline_id]["runs"][0]["id"])
        before.steer({"resume": closed.pipeline_id})
        stack.change(exporting, destinations=[f"s3://{stack.outbox}/exported.csv"])
        for arn in (failed, unpublished):
            before.redriven(arn)
        released = stack.ended(stack.start({"release": held.name}))
        assert released.status == "SUCCEEDED", released.cause

        # Then all come to their end
        for arn in (polling, waiting, paused, fetching, uploading):
            before.succeeded(arn)
        # And a file that is dropped now goes the road of now
        new = stack.ended(before.dropped(busy))
        assert new.status == "SUCCEEDED", new.cause
        assert "CheckFile" in stack.entered(new)
        # And each was processed once, and nothing is left behind
        assert before.problems(stand_in) == []
        before.until_nothing_is_left()
