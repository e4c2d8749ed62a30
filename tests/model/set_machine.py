"""The model of sets: their files come in any order, and everything may happen to each."""

import json
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.calm import calm_down, run_all
from tests.model.functions import Functions
from tests.model.moves import BADLY, THEN, TROUBLES, WHICH, Moves, one_of
from tests.model.sets import MEMBERS, PERIODS, Ledger, check_sets, route
from tests.model.world import World

MOST = 9  # files and runs by hand
FILES = st.tuples(st.sampled_from(sorted(MEMBERS)), st.sampled_from([PERIODS[0], *PERIODS]))
POINTS = st.sampled_from(
    [
        "get sets",
        "write Update sets",
        "write Update sets",
        "head object",
        "ConditionCheck queues, Update tickets",
        "write Update queues SET #holder.#mark",
        "upload ends",
        "upload begins d-2",
        "write Update queues SET #last_post",
        "execute",
        "return",
    ]
)
MENDS = 12  # rounds of redrives until all have ended well


class SetModel(Moves, RuleBasedStateMachine):
    """Files of sets, people, functions, Step Functions and Quantemplate do what they may."""

    functions: Functions  # set by the test
    steps = histories = claimed = 0

    @initialize(quick=st.booleans(), files=st.lists(FILES, max_size=4))
    def begin(self, quick: bool, files: list[tuple[str, str]]) -> None:  # noqa: FBT001
        """Begin with one route, whose set has three members."""
        self.world = World(self.functions)
        self.ledger = Ledger(self.world)
        self.world.watch = self.ledger.wrote
        self.world.parameters.values = route()
        self.quick = quick
        self.drops: list[dict[str, Any]] = []
        for file, period in files:
            self._drop("s", f"{file}-{period}", 1)

    # --- files ----------------------------------------------------------------------------------
    @precondition(lambda self: len(self.drops) < MOST)
    @rule(file=FILES, twice=st.booleans(), at_once=st.booleans())
    def drop(self, file: tuple[str, str], twice: bool, at_once: bool) -> None:  # noqa: FBT001
        """A member, or a new version of it, is dropped; all may go on to their ends."""
        self._drop("s", "-".join(file), 1 + twice)
        if at_once:
            run_all(self.world)

    @precondition(lambda self: len(self.drops) < MOST)
    @rule(file=FILES, started=st.booleans())
    def events_come_late(self, file: tuple[str, str], started: bool) -> None:  # noqa: FBT001
        """A newer file's event comes before that of an older one of the same member."""
        older = self.world.drop(f"s/{'-'.join(file)}.csv")
        self.drops.append(older)
        self._drop("s", "-".join(file), 1)
        if started:
            run_all(self.world)
        self.world.start(older)

    @precondition(lambda self: len(self.drops) < MOST - 1)
    @rule(period=st.sampled_from(PERIODS), steps=st.lists(st.booleans(), max_size=30))
    def all_come_at_one_instant(self, period: str, steps: list[bool]) -> None:
        """The last two members are checked side by side, call by call."""
        for file in ("claims", "premiums", "cash"):
            self._drop("s", f"{file}-{period}", 1)
        for first in steps:
            checks = [one for one in self.world.invocations if one.name == "check_file"]
            if len(checks) < 2:
                return
            self.world.step(checks[-1] if first else checks[-2])

    @precondition(lambda self: 0 < len(self.drops) < MOST)
    @rule(which=WHICH, incomplete=st.booleans())
    def by_hand(self, which: int, incomplete: bool) -> None:  # noqa: FBT001
        """A person runs a file again, perhaps without the members that are missing."""
        if not self._executions():
            return
        first = one_of(self._executions(), which)
        given = {name: first.input[name] for name in ("bucket", "key", "version_id")}
        given |= {"incomplete": True} if incomplete else {}
        self.drops.append(self.drops[0])
        self.world.states.start_execution("", f"rerun-{len(self.drops)}", json.dumps(given))

    @precondition(lambda self: self.drops)
    @rule(which=WHICH)
    def again(self, which: int) -> None:
        """A drop's event comes once more."""
        self.world.start(one_of(self.drops, which))

    # --- functions and executions ---------------------------------------------------------------
    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH, steps=st.sampled_from([1, 2, 3, 5, 40]), trouble=TROUBLES)
    def go_on(self, which: int, steps: int, trouble: str) -> None:
        """One function goes on for some calls; the last of them may have trouble."""
        self.world.go_on(one_of(self.world.invocations, which), steps, trouble)

    @rule(point=POINTS, then=THEN)
    def go_on_until(self, point: str, then: str) -> None:
        """All go on, and time passes, until one stands before a call; then it meets something."""
        invocation = self._stands_before(point)
        if invocation:
            self._meets(invocation, then)

    @rule(
        then=st.sampled_from(
            ["step, kill", "kill", "lost", "twice", "conflict", "give up", "abort"]
        )
    )
    def gathering_meets(self, then: str) -> None:
        """A file that is being noted meets something, and the others go on."""
        self.go_on_until("write Update sets", then)

    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH, then=THEN)
    def meets(self, which: int, then: str) -> None:
        """A function meets something, wherever it stands."""
        self._meets(one_of(self.world.invocations, which), then)

    @precondition(lambda self: self._executions("RUNNING"))
    @rule(which=WHICH)
    def execution_is_stopped(self, which: int) -> None:
        """A person stops a run."""
        self.world.states.abort(one_of(self._executions("RUNNING"), which))

    @precondition(lambda self: self._executions(*BADLY))
    @rule(which=WHICH)
    def redrive(self, which: int) -> None:
        """A person redrives a run."""
        self.world.states.redrive(one_of(self._executions(*BADLY), which))

    @precondition(lambda self: self.world.states.ends)
    @rule(which=WHICH)
    def end_is_told(self, which: int) -> None:
        """A status event comes."""
        end = one_of(self.world.states.ends, which)
        self.world.states.ends.remove(end)
        self.world.invoke("run_ended", {"detail": end})

    @rule(seconds=st.sampled_from([1, 6, 61, 1000]))
    def time_passes(self, seconds: int) -> None:
        """Marks lapse, functions meet their time-outs, waits end."""
        self.world.pass_time(seconds)

    @rule()
    def sweep(self) -> None:
        """The sweep begins."""
        self.world.invoke("sweep_queues", {})

    @precondition(lambda self: self._going())
    @rule(which=WHICH, status=st.sampled_from(["Succeeded", "Succeeded", "Failed"]))
    def run_ends(self, which: int, status: str) -> None:
        """A run ends, well or not."""
        self.world.quantemplate.end(one_of(self._going(), which), status)

    # --- what must hold -------------------------------------------------------------------------
    @invariant()
    def holds(self) -> None:
        """Between any two rules."""
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """All calms down, and is redriven until it has ended well: then the sets are judged."""
        if not hasattr(self, "world"):
            return
        world = self.world
        try:
            if not world.violation:
                self._mended()
                check_sets(world, self.ledger)
        finally:
            note("\n".join(world.log))
            SetModel.steps += world.steps
            SetModel.histories += 1
            SetModel.claimed += len(self.ledger.claims)
            world.close()

    def _mended(self) -> None:
        """Redrive what has ended badly, until nothing has."""
        for _ in range(MENDS):
            calm_down(self.world, events=True)
            badly = self._executions(*BADLY)
            if not badly:
                return
            for execution in badly:
                self.world.states.redrive(execution)
        self.world.forbid(
            f"{[(e.name, e.error) for e in self._executions(*BADLY)]} do not end well"
        )


class WithReplays(SetModel):
    """The same, and dropped files are processed again at their own places."""

    @precondition(lambda self: 0 < len(self.drops) < MOST)
    @rule(which=WHICH)
    def replayed(self, which: int) -> None:
        """A plan of a replay takes a dropped file."""
        dropped = [one for one in self._executions() if "sequencer" in one.input]
        firsts = [one for one in dropped if "replay" not in one.input]
        if not firsts:
            return
        first = one_of(firsts, which)
        self.drops.append(self.drops[0])
        given = json.dumps(first.input | {"replay": str(len(self.drops))})
        self.world.states.start_execution("", f"{first.name}-replay-{len(self.drops)}", given)
