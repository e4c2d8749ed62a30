"""`python -m local up` and `python -m local demo`: AWS and Quantemplate on this machine."""

import argparse
import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from local.build import BuildFailed
from local.demo import DemoFailed, demo
from local.deploy import DeployFailed
from local.process import PartFailed, clean_environment
from local.stack import SettingsError
from local.up import up


def main() -> int:
    """Run one command; return its exit status: 1 where it failed, 2 where a setting is wrong."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=["up", "demo"])
    command = {"up": up, "demo": demo}[parser.parse_args().command]
    settings = dict(os.environ)
    os.environ.clear()  # of settings of the user's own AWS, for boto3 here as for our parts
    os.environ.update(clean_environment(settings))
    try:
        return command(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (BuildFailed, DeployFailed, DemoFailed, PartFailed) as error:
        print(f"error: {error}", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"error: the local AWS did not answer as it should: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
