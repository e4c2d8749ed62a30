"""A plugin of pytest that plays each change of the code in a fork, by the tests that go through it.

All is collected once, and the tests run once on the code as it is: what they take and which lines
each goes through decides what a fork runs, the quickest tests first, until one fails. A fork begins
where a test does, so that most changes are noticed in a tenth of a second.
"""

import gc
import json
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

import coverage
import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation.trampoline import set_mutant_under_test

NOTICED, SURVIVED = "noticed", "survived"
UNTESTED = "no tests"
PATIENCE, AT_LEAST = 10, 2  # times of what a test took, and seconds of the processor
MOST = float(os.environ.get("MUTANTS_SECONDS", "inf"))  # of tests on one change
STUCK = 120  # seconds after which a change that waits for ever is given up


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests on the code as it is, and then on each change; note what became of each."""
    mutants = json.loads(Path(os.environ["MUTANTS_OF"]).read_text("utf-8"))
    set_mutant_under_test("")
    took: dict[pytest.Item, float] = {}
    files = sorted({where["file"] for where in mutants.values()})
    traced = coverage.Coverage(data_file=None, include=files, config_file=False)
    traced.start()
    for item in session.items:
        traced.switch_context(item.nodeid)
        begun = time.process_time()
        if not _passes(item):
            pytest.exit(f"{item.nodeid} fails on the code as it is", 1)
        took[item] = time.process_time() - begun
    traced.stop()
    named = {item.nodeid: item for item in session.items}
    through: dict[tuple[str, int], set[pytest.Item]] = defaultdict(set)
    for file in files:
        for line, tests in traced.get_data().contexts_by_lineno(file).items():
            through[file, line] = {named[test] for test in tests if test in named}
    gc.freeze()
    fates: dict[str, str] = {}
    for number, (mutant, where) in enumerate(mutants.items(), 1):
        lines = range(where["first"], where["last"] + 1)
        items = set().union(*(through[where["file"], line] for line in lines))
        fates[mutant] = _fate(mutant, sorted(items, key=took.__getitem__), took)
        Path(os.environ["MUTANTS_FATES"]).write_text(json.dumps(fates), "utf-8")
        if number % 50 == 0 or number == len(mutants):
            left = sum(fate != NOTICED for fate in fates.values())
            print(f"{number} of {len(mutants)}, {left} not noticed", file=sys.stderr, flush=True)
    return True


def _passes(item: pytest.Item) -> bool:
    """Whether a test passes; what a session has in common stays for the next one."""
    reports = runtestprotocol(item, log=False, nextitem=item.session)  # type: ignore[arg-type]
    return not any(report.failed for report in reports)


def _fate(mutant: str, items: list[pytest.Item], took: dict[pytest.Item, float]) -> str:
    """Return what becomes of a change in a fork."""
    if not items:
        return UNTESTED
    room = MOST
    child = os.fork()
    if not child:
        code = 1
        try:
            set_mutant_under_test(mutant)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            for item in items:
                signal.alarm(STUCK)
                signal.setitimer(signal.ITIMER_PROF, AT_LEAST + PATIENCE * took[item])
                room -= took[item]
                if room > 0 and not _passes(item):
                    break
            else:
                code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return NOTICED if status else SURVIVED  # one that goes round for ever is noticed too
