"""One local AWS for all tests of this folder; each test makes its own things in it."""

import subprocess
from collections.abc import Iterator

import pytest

from emulator.tests.account import Account
from emulator.tests.dynamodb_table import TABLE, Table
from emulator.tests.server_process import running_aws
from emulator.tests.stacks import created
from emulator.tests.state_machines import FUNCTION_CODE, TIME_SCALE, StateMachines

Server = tuple[str, subprocess.Popen[str]]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The URL and the process of a local AWS with short Wait states and Retry intervals."""
    log = tmp_path_factory.mktemp("local-aws") / "log"
    page = "/_local/page/=emulator.tests.page:app"
    with running_aws(log, "--time-scale", str(TIME_SCALE), "--mount", page) as served:
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


@pytest.fixture(scope="session")
def table_name(account: Account) -> Iterator[str]:
    """The name of a table that CloudFormation made."""
    with created(account, {"Turns": TABLE}) as stack:
        yield stack["Turns"]


@pytest.fixture
def table(account: Account, table_name: str, request: pytest.FixtureRequest) -> Table:
    """The table, and a queue in it that no other test uses."""
    return Table(account.client("dynamodb"), table_name, request.node.name)
