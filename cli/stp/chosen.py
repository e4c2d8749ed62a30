"""The runs that a command takes: those that are named, or those of a time, a route, an error."""

from collections.abc import Sequence
from dataclasses import dataclass

from stp.commands_runs import find_runs
from stp.here import Here
from stp.pace import side_by_side
from stp.run_facts import BAD, Run
from stp.runs import named
from stp.said import USAGE, Stop
from stp.shown_runs import RunsShown
from straight_through.text import counted

MOST = 10_000  # runs that one command takes


@dataclass(frozen=True)
class Choice:
    """What chooses among the runs of a time; nothing of it does where runs are named."""

    since: str = ""
    route: str = ""
    error: str = ""
    failed: bool = False

    def require_sense(self, command: str, names: Sequence[str] | None) -> None:
        """Raise Stop where neither runs nor a time are named, or both are."""
        some = self.failed or self.since or self.route or self.error
        if names and some:
            raise Stop(
                "--failed, --since, --route and --error choose among the runs of a time: leave "
                "them out, or name no runs.",
                USAGE,
            )
        if not names and not self.since:
            given = " ".join(
                f"--{name} {value}"
                for name, value in (("route", self.route), ("error", self.error))
                if value
            )
            example = " ".join(filter(None, ("--failed", given, "--since 2h")))
            raise Stop(f"Name the runs, or all of a time: stp {command} {example}", USAGE)

    def find(self, here: Here, *, failed: bool) -> list[Run]:
        """Return the runs that have ended, in the order of their drops; `failed` are these alone.

        One that a person has stopped is named, if it is meant.
        """
        bad = [status for status in BAD if status != "ABORTED"] if failed else ()
        found = find_runs(here, route=self.route, bad=bad, since=self.since, limit=MOST)
        return sorted(
            (run for run in found if not run.running and self.error in ("", run.facts["error"])),
            key=lambda each: each.order,
        )

    @property
    def told(self) -> str:
        """What it chooses by, as people read it."""
        with_error = f" with {self.error}" if self.error else ""
        of_route = f" of route {self.route}" if self.route else ""
        return f"{with_error}{of_route} since {self.since}"


def named_runs(here: Here, names: Sequence[str]) -> list[Run]:
    """Return the runs of these names, each once. Raises Stop."""
    with here.said.doing("Reading the runs"):
        first, *rest = dict.fromkeys(names)
        # The first one makes the clients: boto3's session makes one at a time.
        found = [named(here.stack, first)]
        found += side_by_side(lambda name: named(here.stack, name), rest)
    return list({run.arn: run for run in found}.values())


def agreed(here: Here, runs: Sequence[Run], what: str, *, yes: bool) -> None:
    """List the runs and ask whether to do this to them. Raises Stop where the answer is no."""
    if not yes:
        here.said.err.print(RunsShown(runs))
    here.said.confirm(f"{what} {counted(len(runs), 'run')}?", yes=yes)
