"""The functions as processes of their own, between two ends."""

import json
import os
import subprocess
import sys
from typing import Any

from local.process import ROOT
from tests.bench.endpoints import BUCKET, Ends

INVOKE = str(ROOT / "tests/bench/invoke.py")
MIB = 1024 * 1024


def environment(ends: Ends) -> dict[str, str]:
    """Return what a function finds in its environment, and other programs too."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": ends.aws,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "Bench",
        "CREDENTIALS_SECRET_ARN": "credentials",
        "QUANTEMPLATE_API_URL": f"{ends.quantemplate}/v1",
        "QUANTEMPLATE_TOKEN_URL": f"{ends.quantemplate}/token",
        "OUTBOX_BUCKET": BUCKET,
        "INBOX_BUCKET": BUCKET,
        "INBOX_PREFIX": "",
        "STATE_MACHINE_ARN": "arn",
        "TOPIC_ARN": "arn",
        "IGNORE_PATTERNS": "*.filepart",
        "TURNS_TABLE": "turns",
        "ROUTES_PATH": "/bench/routes",
        "LATE_LIST_SECONDS": "120",
        "QUANTEMPLATE_EVENTS": "off",
        "EVENTS_KEY_SECRET_ARN": "key",
        "EMPTY_FILE_MINUTES": "10",
        "SET_WAIT_HOURS": "48",
        "LARGEST_UNZIPPED_GB": "20",
        "LARGEST_UNZIPPED_RATIO": "500",
        "API_PATIENCE_HOURS": "12",
        "BUSY_DEADLINE_HOURS": "24",
        "PIPELINE_DEADLINE_HOURS": "168",
        "TURN_DEADLINE_HOURS": "720",
        "QUEUE_ALARM_HOURS": "4",
        "MOST_UPDATE_RUNS_AN_HOUR": "10",
        "PIPELINE_PAGE_URL": "",
        "TAGGED_FILES": "",
    }


def invoke(ends: Ends, function: str, size: int) -> dict[str, Any]:
    """Run one invocation for a file of `size` bytes in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-P", INVOKE, function, str(size)],
        env=environment(ends),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{function} failed:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said
