"""How much of a run's history a redrive may need: AWS ends an execution at 25,000 events.

Source: "Step Functions service quotas" and "Redriving executions"
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
"""

from collections.abc import Mapping
from functools import cache

from straight_through.executing.listening import EARLY, MOST_CALLBACKS, MOST_SERIES, MOST_WOKEN
from straight_through.executing.waits import next_wait
from straight_through.selection import MOST_OUTPUTS

MOST_EVENTS = 25_000
LOOK, ROUND = 9, 14  # events of a look, and of a round that waits to upload and execute
CALLBACK = 4  # more events of a look after a wait that an event may end
OUTPUT, TRY = 11, 3  # events of an output, and of another try
FETCHED_AT_ONCE = 5  # outputs
TRIES, ASKED = 64, 42  # of one output, in twelve hours: by itself, and as a server asks for it
OTHERS = 500  # events of all other states and their retries
FETCHING = (
    "DownloadOutputs",
    *("DownloadOutput", "OutputStored?", "WaitToDownload", "OutputStored"),
)
LONGEST = {"PipelineDeadlineHours": 312, "BusyDeadlineHours": 312, "ApiPatienceHours": 312}


@cache
def rounds(hours: float) -> int:
    """Return how many growing waits so many hours take; jitter makes a few more."""
    now, number = 0.0, 0
    while now < hours * 3600:
        now += next_wait(now)
        number += 1
    return number


def phases(parameters: Mapping[str, str]) -> dict[str, int]:
    """Return the most events that each phase of a run makes, with the stack's own settings."""
    hours = {name: float(parameters.get(name, most)) for name, most in LONGEST.items()}
    patience = hours["ApiPatienceHours"]
    woken = CALLBACK * MOST_CALLBACKS + LOOK * (MOST_WOKEN + MOST_SERIES * len(EARLY))
    if parameters.get("QuantemplateEvents") == "off":
        woken = 0
    return {
        "UploadAndExecute": ROUND * round(1.1 * rounds(hours["BusyDeadlineHours"] + patience)),
        "CheckStatus": woken
        + LOOK * round(1.1 * rounds(hours["PipelineDeadlineHours"] + patience)),
        "DownloadOutputs": OUTPUT * MOST_OUTPUTS + FETCHED_AT_ONCE * (TRY * TRIES + LOOK * ASKED),
        "Others": OTHERS,
    }


def needed(state: str, parameters: Mapping[str, str], *, executed: bool) -> int:
    """Return the most events that a run still makes which goes on at a state.

    `executed` is whether it has made its execution: until then a look leads back to the upload.
    """
    of = phases(parameters)
    if state in FETCHING:
        del of["UploadAndExecute"], of["CheckStatus"]
    elif executed and state in ("WaitForPipeline", "WaitForEvent", "CheckStatus"):
        del of["UploadAndExecute"]
    elif state == "PublishRun":
        return of["Others"]
    return sum(of.values())
