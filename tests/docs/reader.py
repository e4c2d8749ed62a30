"""Somebody who types what the documents say."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.deploy import REGION, STACK_NAME
from local.process import ROOT, clean_environment
from local.quantemplate import Control
from tests.end_to_end.road import Road, Route, Run
from tests.end_to_end.stack import make_route

# What a reader replaces by their own: what the stand-in takes.
THEIRS = {"YOUR_CLIENT_ID": "straight-through", "YOUR_CLIENT_SECRET": "local-secret"}


@dataclass
class Reader:
    """Somebody who types what the pages say, in a folder and a shell of their own."""

    road: Road
    stand_in: Control
    folder: Path
    stack: str = STACK_NAME
    replaced: dict[str, str] = field(default_factory=lambda: dict(THEIRS))

    def environment(self) -> dict[str, str]:
        """The variables of a shell that has read .local/stack.env."""
        paths = [ROOT / ".venv" / "bin", ROOT / ".venv-aws" / "client", os.environ["PATH"]]
        return clean_environment(os.environ) | {
            "AWS_ENDPOINT_URL": self.road.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_PAGER": "",
            "STACK_NAME": self.stack,
            "INBOX_BUCKET": self.road.inbox,
            "OUTBOX_BUCKET": self.road.outbox,
            "STATE_MACHINE_ARN": self.road.state_machine,
            "ROLE_ARN": self.role,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PATH": ":".join(map(str, paths)),
        }

    def types(self, block: str, folder: Path | None = None) -> str:
        """Run a block in the reader's folder, or another; return what it said on stdout."""
        for word, theirs in self.replaced.items():
            block = block.replace(word, theirs)
        done = subprocess.run(  # noqa: S603 - commands of our own pages
            ["/bin/bash", "-euo", "pipefail", "-c", f"shopt -s expand_aliases\n{block}"],
            cwd=folder or self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def role(self) -> str:
        """The ARN of the role that `makes_role` makes."""
        return f"arn:aws:iam::000000000000:role/{self.folder.name}"

    def makes_role(self, policy: dict[str, Any]) -> None:
        """Let AWS's services assume a role with this policy."""
        iam = self.road.client("iam")
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "*"}}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [assume]})
        iam.create_role(RoleName=self.folder.name, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(
            RoleName=self.folder.name, PolicyName="given", PolicyDocument=json.dumps(policy)
        )

    def route(self) -> Route:
        """A route of the reader's own, whose pipeline gives the file back."""
        return make_route(self.road, self.stand_in, "Copy: Sheet 1")

    def failed(self) -> Run:
        """A run that has failed in Quantemplate."""
        trouble = {"end_status": "Failed"}
        route = self.route()
        self.stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run=trouble)
        return self.road.processed(f"{route.name}/may.csv", b"a,b\n1,2\n")

    def keeps_to(self, run: Run) -> None:
        """Let all failed runs be those of one run's route: others' are not the reader's."""
        described = self.road.client("stepfunctions").describe_execution(executionArn=run.arn)
        route = json.loads(described["input"])["key"].partition("/")[0]
        for given in ("redrive --failed", "redrive --since 2h"):
            self.replaced |= {given: f"{given} --route {route}"}

    def held(self) -> Run:
        """A run that a gate holds."""
        gate = {"hold_if_rows": ["Report: *"]}
        route = make_route(self.road, self.stand_in, "Report: Sheet 1", **gate)
        return self.road.processed(f"{route.name}/may.csv", b"a,b\n1,2\n")
