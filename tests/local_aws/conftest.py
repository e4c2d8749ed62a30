"""One local AWS for all tests of this folder; each test makes its own things in it."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.local_aws.account import Account
from tests.local_aws.server_process import running_aws
from tests.local_aws.state_machines import FUNCTION_CODE, TIME_SCALE, StateMachines

Server = tuple[str, subprocess.Popen[str]]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The URL and the process of a local AWS with short Wait states and Retry intervals."""
    log = tmp_path_factory.mktemp("local-aws") / "log"
    with running_aws(log, "--time-scale", str(TIME_SCALE)) as served:
        yield served


@pytest.fixture(scope="session")
def account(server: Server) -> Account:
    """The root user of the account on that local AWS."""
    return Account(server[0])


@pytest.fixture(scope="session")
def machines(account: Account) -> StateMachines:
    """What state machines need: a role that may do everything, and a function."""
    role = account.role()
    return StateMachines(account, role, account.function(FUNCTION_CODE, Role=role))
