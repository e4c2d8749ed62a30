"""The statuses of a run, in this one place: those of Quantemplate, and those that we add."""

from quantemplate.statuses import CANCELLED, ENDED, FAILED, STARTED, SUCCEEDED

__all__ = [
    "CANCELLED",
    "CHECKED",
    "EMPTY",
    "ENDED",
    "FAILED",
    "GATHERED",
    "HELD",
    "NOT_EXECUTED",
    "REPLACED",
    "RUN_AGAIN",
    "SKIPPED",
    "STARTED",
    "SUCCEEDED",
]

# What the state machine's Choice after CheckFile reads; on any other TakeTurn follows.
CHECKED = "Checked"
EMPTY = "Empty"  # a newer version may replace it yet: CheckFile is to be entered again
REPLACED = "Replaced"  # a newer version is there, of an empty one or of a set's member; an end too
GATHERED = "Gathered"  # a member of a set that waits for others; also how its run ends

# What the one after CheckStatus reads beside Succeeded.
NOT_EXECUTED = "NotExecuted"  # UploadAndExecute waits for something, and is to be entered again
SKIPPED = "Skipped"  # the same bytes were processed before, and the route skips them
HELD = "Held"  # a gate's output has rows, or cannot be counted
RUN_AGAIN = "RunAgain"  # the run ended badly and its execution was redriven: from TakeTurn on
