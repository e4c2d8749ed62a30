"""What becomes of a file whose calls meet a fault, from the lists and the rule of `docs/faults.py`."""

from docs.faults import AWS, GOES_ON, IN_A_ROW, OF_AWS, OF_HTTP, OUTSIDE, QUANTEMPLATE, Cell, cells
from docs.tables import code, table

ABOUT = """# Faults

Every call that the functions make, times every fault that it may meet. Whatever it is: a file is
executed once, its outputs are published whole and are those of its own run, and its turn is passed
on. `make faults` runs each of the {cells} cells with the functions themselves, on the state machine's
definition in virtual time; the tests take each call and each fault at least once.

What a cell says of the file whose call meets the fault:

- *goes on*: as if nothing had happened, or with another request at once
- *waited for*: the state machine waits for as long as the function says, and asks again, up to
  `ApiPatienceHours` or `BusyDeadlineHours`; then it goes on
- *tried again*: by the state machine, with growing pauses; then it goes on
- an [error](errors.md): its run ends with it. When the cause is mended, a redrive finishes it. The
  next file of the queue has gone through meanwhile, unless the queue *pauses*; then it goes through
  after the redrive.
"""
HTTP = """## Calls of Quantemplate

Timed faults begin with the first such call. A client waits 10 s for a connection, 45 s for a reply and
300 s for that to an upload; the tests make these shorter.
"""
OF_SERVICES = """## Calls of AWS

As the functions meet them after botocore's own tries. `sqs.DeleteMessage` is made by Lambda for
`start_run`: without it the same event comes again.
"""
ROW = """## Two files in a row

Where a second file of a queue ends with the same error as the one before, at a call that does not
depend on the file, the queue pauses and people are told once. Shown with HTTP 404:
"""
AFTERWARDS = {
    "start_run": "SQS gives the event again",
    "run_ended": "Lambda invokes it again, or the sweep passes the turn on",
    "sweep_queues": "the next sweep does it",
    "pause_queue": "the person does it again",
}


def page() -> str:
    """Return the page: a table for Quantemplate's calls and one for AWS's."""
    about = ABOUT.format(cells=len(list(cells())))
    return "\n\n".join(
        [
            about.strip(),
            HTTP.strip(),
            _http(),
            ROW.strip(),
            _in_a_row(),
            OF_SERVICES.strip(),
            _aws(),
        ]
    )


def _http() -> str:
    """Return a line for each fault, with a column for each call."""
    titles = ["", *(f"{code(call)} by {function}" for function, call in QUANTEMPLATE)]
    rows = [
        [str(fault), *(str(Cell(*place, fault).end) for place in QUANTEMPLATE)] for fault in OF_HTTP
    ]
    return table(titles, rows)


def _in_a_row() -> str:
    """Return a line for each call, with what the second file in a row does to the queue."""
    rows = [
        (f"{code(call)} by {function}", f"the queue {'pauses' if pauses else 'goes on'}")
        for (function, call), pauses in IN_A_ROW.items()
    ]
    return table(["", "after two files"], rows)


def _aws() -> str:
    """Return a line for each call of each function, with a column for each fault."""
    rows = [
        [function, code(call), *(_end(Cell(function, call, fault)) for fault in OF_AWS)]
        for function, calls in AWS.items()
        for call in calls
    ]
    return table(["function", "call", *map(str, OF_AWS)], rows)


def _end(cell: Cell) -> str:
    """Return what becomes of the file; of functions beside the state machine, who tries again."""
    if cell.function in OUTSIDE and cell.end.how == GOES_ON and not cell.end.error:
        return AFTERWARDS[cell.function]
    return str(cell.end)
