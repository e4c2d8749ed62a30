"""Draws docs/polling.svg: delay against number of looks, for four rules of when to look.

`PYTHONPATH=layers python -m tests.bench.plot`. Simulated in virtual time with a fixed seed.
"""

import math
from collections.abc import Iterator

from local.process import ROOT
from straight_through.executing.waits import next_wait
from tests.bench.detection import NAMES, Rule, cases, measured

RULES: dict[str, tuple[str, Rule]] = {  # name: colour that shows on light and on dark, rule
    "every second": ("#d9822b", lambda _elapsed, _durations: 1),
    "every 30 s": ("#8e6bd1", lambda _elapsed, _durations: 30),
    "growing by a tenth": ("#2f9e77", lambda elapsed, _durations: next_wait(elapsed)),
    "learned": ("#e0457b", next_wait),
}
WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 60, 45, 60, 55
LOOKS, DELAY = (1, 100_000), (0.2, 400)  # both axes are logarithmic; the delay in seconds
SPREAD = 0.05  # of the pipelines' durations
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .point { font-size: 11px; }
  .grid { stroke: #8b949e; stroke-opacity: .3; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } }
"""


def x(looks: float) -> float:
    """Where so many looks are, in pixels."""
    low, high = map(math.log, LOOKS)
    return LEFT + (math.log(looks) - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def y(delay: float) -> float:
    """Where a delay is, in pixels."""
    low, high = map(math.log, DELAY)
    return HEIGHT - BOTTOM - (math.log(delay) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def grid() -> Iterator[str]:
    """The axes with their lines and numbers."""
    for power in range(6):
        at = f"{x(10**power):.1f}"
        yield f'<path class="grid" d="M{at} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{at}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>'
    for power in range(3):
        at = f"{y(10**power):.1f}"
        yield f'<path class="grid" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{at}" dy="4" text-anchor="end">{10**power} s</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}">looks at a run, on average</text>'
    yield '<text x="18" y="20">delay from the end of a run to its detection, on average</text>'


def curve(number: int, name: str, runs: int) -> Iterator[str]:
    """A rule's four pipelines, and its line in the key."""
    colour, rule = RULES[name]
    points = []
    for case in cases(runs):
        if case.spread == SPREAD:
            found = measured(case, rule, known=3)
            at = x(found.checks), y(found.delay)
            points.append((NAMES[case.seconds], *at))
    path = "L".join(f"{left:.1f} {top:.1f}" for _, left, top in points)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for label, left, top in points:
        yield f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{colour}"/>'
        beside = 'text-anchor="end" x="-7"' if name == "learned" else 'x="7"'  # of other points
        place = f'transform="translate({left:.1f} {top - 7:.1f})"'
        yield f'<text {place} {beside} class="point">{label}</text>'
    left = LEFT + number * 160
    yield f'<circle cx="{left + 6}" cy="38" r="5" fill="{colour}"/>'
    yield f'<text x="{left + 16}" y="42">{name}</text>'


def drawing(runs: int = 400) -> str:
    """The whole plot."""
    parts = [*grid()]
    for number, name in enumerate(RULES):
        parts += curve(number, name, runs)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    title = "<title>Delay against number of looks, for four rules</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "polling.svg").write_text(drawing(), "utf-8")
