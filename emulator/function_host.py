"""Where function processes live: their folders, layers and environment.

A process sees what a function sees on AWS: its own folder, its layers, the runtime's own libraries
and Lambda's environment variables, and nothing of this machine's.
"""

import hashlib
import io
import os
import sys
import threading
import uuid
import zipfile
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from emulator import function_process
from emulator.freezes import Freezes
from emulator.function_forks import Forks
from emulator.journal import Journal
from emulator.scratch import ALIVE
from emulator.seams import seam

RUNTIME_LIBRARIES = ("awslambdaric", "simplejson", "snapshot-restore-py")
Config = dict[str, Any]  # a function's configuration as ministack keeps it
layer_content = seam(lambda_svc, "_resolve_layer_zip")
role_session = seam(lambda_runtime, "execution_credentials")


@dataclass
class FunctionHost:
    """Where the function processes of this server live, and how many of each there may be."""

    root: Path
    endpoint_url: str
    max_workers: int
    freezes: Freezes
    journal: Journal | None = None
    _slots: dict[str, threading.Semaphore] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Make the folders that all function processes share."""
        self.runtime = self.root / "runtime"
        self.scratch = self.root / "scratch"
        self.scratch.mkdir()
        _link_runtime_libraries(self.runtime)
        self.bootstrap = self.root / "bootstrap"
        self.bootstrap.touch(0o755)  # asked for, and not run
        files = [function_process.__file__, self.root / ALIVE, self.freezes.file]
        self.forks = Forks([sys.executable, "-SP", *map(str, files)])

    def slot(self, function_arn: str) -> threading.Semaphore:
        """What an invocation of this function holds while it runs; others wait for it."""
        with self._lock:
            return self._slots.setdefault(function_arn, threading.Semaphore(self.max_workers))

    def add_bootstrap(self, code: Path) -> None:
        """Put the executable into the folder of a function's code that is looked for there."""
        with self._lock:
            if not (code / "bootstrap").exists():
                (code / "bootstrap").symlink_to(self.bootstrap)

    def environment(self, config: Config, code: str, port: int) -> dict[str, str]:
        """The whole environment of a process for this function; `port` is its Runtime API's.

        AWS documentation: "Defined runtime environment variables".
        """
        region = config["FunctionArn"].split(":")[3]
        log_group = (config.get("LoggingConfig") or {}).get("LogGroup")
        libraries = self._layers(config.get("Layers") or [])
        session = role_session(config)
        if self.journal:
            self.journal.know(config["FunctionName"], session["AWS_ACCESS_KEY_ID"])
        return {
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(map(str, [*libraries, self.runtime])),
            # Lambda has a /tmp per environment; here it must not be this machine's.
            "TMPDIR": str(self.scratch),
            **((config.get("Environment") or {}).get("Variables") or {}),
            **session,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": log_group or f"/aws/lambda/{config['FunctionName']}",
            "AWS_LAMBDA_LOG_STREAM_NAME": uuid.uuid4().hex,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "LAMBDA_RUNTIME_DIR": str(self.runtime),
            "LAMBDA_TASK_ROOT": code,
            "_HANDLER": config["Handler"],
        }

    def _layers(self, attached: list[Config]) -> list[Path]:
        """The folders of attached layers on Python's path, as /opt/python is on AWS."""
        name = hashlib.sha256("\n".join(layer["Arn"] for layer in attached).encode()).hexdigest()
        opt = self.root / "opt" / name
        with self._lock:
            if not opt.exists():
                opt.mkdir(parents=True)
                for layer in attached:  # all go into one /opt, a later one over an earlier one
                    content = layer_content(layer)
                    with zipfile.ZipFile(io.BytesIO(content)) as archive:
                        archive.extractall(opt)
        return [*opt.glob("python/lib/python3*/site-packages"), opt / "python"]


def _link_runtime_libraries(folder: Path) -> None:
    """Fill `folder` with awslambdaric and what it needs, and nothing else of the site-packages."""
    folder.mkdir()
    for library in RUNTIME_LIBRARIES:
        installed = distribution(library)
        for name in {file.parts[0] for file in installed.files or ()}:
            if not name.endswith(".dist-info") and name not in ("..", "__pycache__"):
                (folder / name).symlink_to(Path(str(installed.locate_file(name))).resolve())
