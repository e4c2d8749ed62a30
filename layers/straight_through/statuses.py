"""The statuses of a run, in this one place: those of Quantemplate, and those that we add."""

# The statuses of an execution, in this one place. Any other is not success, and not an end.
STARTED = "Started"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
CANCELLED = ("Cancelled", "Canceled")  # both spellings are documented
ENDED = (SUCCEEDED, FAILED, *CANCELLED)

# What the state machine's Choice after CheckFile reads; on any other TakeTurn follows.
CHECKED = "Checked"
EMPTY = "Empty"  # a newer version may replace it yet: CheckFile is to be entered again
REPLACED = "Replaced"  # an empty version, which a newer one has replaced; also how its run ends

# What the one after CheckStatus reads beside Succeeded.
NOT_EXECUTED = "NotExecuted"  # UploadAndExecute waits for something, and is to be entered again
SKIPPED = "Skipped"  # the same bytes were processed before, and the route skips them
HELD = "Held"  # a gate's output has rows, or cannot be counted
RUN_AGAIN = "RunAgain"  # the run ended badly and its execution was redriven: from TakeTurn on
