"""Parameter Store: which names and values are refused."""

import uuid

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account


@pytest.mark.parametrize("prefix", ["/aws-files", "/ssmfiles", "/SSM", "/Aws"])
def test_a_name_that_begins_with_aws_or_ssm_is_refused(account: Account, prefix: str) -> None:
    """AWS Systems Manager API reference, "PutParameter", Name.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
    """
    with pytest.raises(ClientError, match=r"AccessDenied|ValidationException"):
        account.client("ssm").put_parameter(Name=f"{prefix}/x", Value="x", Type="String")


def test_a_value_is_of_the_pattern_that_is_allowed(account: Account) -> None:
    """AWS Systems Manager API reference, "PutParameter", AllowedPattern.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
    """
    # Given
    ssm, name = account.client("ssm"), f"/{uuid.uuid4().hex}"
    # When a value is too long for the pattern, then it is refused
    with pytest.raises(ClientError, match="ParameterPatternMismatchException"):
        ssm.put_parameter(Name=name, Value="1234", Type="String", AllowedPattern="^.{1,3}$")
    # And one that is not is taken
    ssm.put_parameter(Name=name, Value="123", Type="String", AllowedPattern="^.{1,3}$")
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "123"
