"""The statuses of an execution, in this one place. Any other is not success, and not an end."""

STARTED = "Started"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
CANCELLED = ("Cancelled", "Canceled")  # both spellings are documented
ENDED = (SUCCEEDED, FAILED, *CANCELLED)
