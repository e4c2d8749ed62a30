"""A run whose outputs lie in the outbox, as PublishRun is given it."""

from typing import Any

from straight_through.errors import NoRoute
from straight_through.names import held_folder, run_folder
from straight_through.routes import Link, Route
from tests.unit.conftest import INBOX, OUTBOX, ROUTE

CLEAN, REPORT = "Clean claims: Sheet 1", "Validation report: Sheet 1"
PATH = "/straight-through/routes"


def route(name: str = "claims", **changed: Any) -> Route:
    """The route of the sample, changed."""
    return Route(name, **(ROUTE | changed))


def chained_to(*links: tuple[str, str]) -> tuple[Link, ...]:
    """Links of a chain."""
    return tuple(Link(*link) for link in links)


def run_of(
    s3: Any,
    outputs: dict[str, bytes],
    *,
    run: str = "may-1",
    order: str = "2026-05-04T08:15:30.000Z#0#may-1",
    key: str = "claims/may.csv",
    gated: bool = False,
    parent: dict[str, Any] | None = None,
) -> Any:
    """The record of a run with these outputs, which lie where DownloadOutput has put them."""
    folder = (held_folder if gated else run_folder)("claims", key, run)
    described = []
    for number, (name, content) in enumerate(outputs.items(), 1):
        target = f"{folder}{name.replace('/', '_')}.csv"
        s3.put_object(Bucket=OUTBOX, Key=target, Body=content, ContentType="text/csv")
        described.append(
            {
                "name": name,
                "id": f"o-{number}",
                "key": target,
                "bytes": len(content),
                "sha256": "0" * 64,
                "rows": max(content.count(b"\n") - 1, 0),
            }
        )
    return {
        "run": run,
        "execution_arn": f"arn:aws:states:eu-west-1:000000000000:execution:straight-through:{run}",
        "turn": None,
        "order": order,
        "route": "claims",
        "source": {
            "bucket": INBOX,
            "key": key,
            "version_id": "v1",
            "size": 9,
            "etag": "e",
            "dropped_at": "2026-05-04T08:15:30Z",
            "parent": parent,
            "sha256": "1" * 64,
            "rows": 3,
        },
        "quantemplate": {
            **ROUTE,
            "execution_id": "e-7",
            "run_number": 7,
            "created_at": "2026-05-04T08:15:33Z",
            "started_at": "2026-05-04T08:15:34Z",
            "finished_at": "2026-05-04T08:19:34Z",
        },
        "after": 6,
        "identical_to": None,
        "status": "Succeeded",
        "outputs": described,
        "gated": gated,
    }


def without_a_file(record: Any) -> Any:
    """A run's record as it is where no file was dropped."""
    told = {"inbox": INBOX, "started_at": "2026-05-04T08:15:30Z"}
    return record | told | {"source": None, "cause": {"kind": "by hand", "by": "ann"}}


def objects(s3: Any, bucket: str) -> dict[str, bytes]:
    """What a bucket holds now."""
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {
        each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed
    }


class Known:
    """The routes as they stand."""

    def __init__(self, *routes: Route) -> None:
        """Take them."""
        self._routes = {each.name: each for each in routes}

    def named(self, name: str) -> Route:
        """Return the route of this name."""
        if name not in self._routes:
            raise NoRoute("There is none.")
        return self._routes[name]
