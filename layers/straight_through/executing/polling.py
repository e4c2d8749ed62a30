"""How long to wait until the next look at a pipeline's run."""

import bisect
import math
from collections.abc import Sequence

LONGEST_WAIT = 300  # seconds
# Chosen by simulation (`make bench`): with a smaller share there are more looks, with a greater one
# longer delays. The pretended runs keep three earlier runs that are alike by chance from being
# believed too much.
SHARE = 0.16  # of the spread, between two looks around the expected end
PRETENDED_RUNS, PRETENDED_SPREAD = 3, 0.12
FARTHEST = 0.5  # from the median, in the logarithm; what lies farther off is counted as if there


def next_wait(elapsed: float, durations: Sequence[float] = ()) -> int:
    """Whole seconds, 1 to 300, from `elapsed` seconds of a run to the next look at it.

    `durations` are seconds that earlier runs of the pipeline took. With none, a tenth of the time
    elapsed. With some, the least of
    - the time elapsed, or 10: most failures come early, and are seen after as long again;
    - what the chance of an end calls for: long waits up to shortly before the usual duration, close
      looks around it. The best wait between looks that cost the same is as the square root of
      1 / (chance of an end per second), which for durations of a logistic distribution in their
      logarithm is sqrt(1 + (usual / then) ** (1.7 / spread)), `then` being the time of that look.
    Past the longest known duration a wait is a tenth of the time since, at least.
    """
    elapsed = max(elapsed, 0)
    known = sorted(math.log(max(each, 1)) for each in durations if 0 < each < math.inf)
    if not known:
        return _within(elapsed / 10)
    median = known[len(known) // 2]
    known = [min(max(each, median - FARTHEST), median + FARTHEST) for each in known]
    usual = sum(known) / len(known)
    pretended = PRETENDED_RUNS * PRETENDED_SPREAD**2
    squares = pretended + sum((each - usual) ** 2 for each in known)
    spread = math.sqrt(squares / (PRETENDED_RUNS + len(known) - 1))

    def too_long(wait: int) -> bool:
        """Whether a look so much later comes too late for the chance of an end by then."""
        then = elapsed + wait
        rarity = math.exp(min((usual - math.log(then)) * 1.7 / spread, 700))
        return wait > SHARE * spread * then * math.sqrt(1 + rarity)

    close = bisect.bisect_left(range(1, LONGEST_WAIT + 1), True, key=too_long)  # noqa: FBT003
    past_all = (elapsed - math.exp(known[-1])) / 10
    return _within(max(min(close, max(elapsed, 10)), past_all))


def _within(wait: float) -> int:
    """Return a wait in whole seconds within its bounds."""
    return int(min(max(wait, 1), LONGEST_WAIT))
