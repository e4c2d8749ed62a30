"""Saved queries of a stack, as CloudWatch Logs lists them."""

from emulator.tests.account import Account
from emulator.tests.stacks import created


def test_a_stacks_queries_come_and_go_with_it(account: Account) -> None:
    """AWS CloudFormation template reference, "AWS::Logs::QueryDefinition"."""
    logs = account.client("logs")

    def listed(prefix: str = "mine/") -> list[dict[str, object]]:
        found = logs.describe_query_definitions(queryDefinitionNamePrefix=prefix)
        return list(found["queryDefinitions"])

    # Given a stack with a query
    query = "fields @timestamp | limit 5"
    properties = {"Name": "mine/one", "QueryString": query, "LogGroupNames": ["/aws/lambda/a"]}
    resource = {"Type": "AWS::Logs::QueryDefinition", "Properties": properties}
    with created(account, {"One": resource}) as stack:
        # Then it is listed by its name, and Ref is its id
        assert listed() == [
            {
                "queryDefinitionId": stack["One"],
                "name": "mine/one",
                "queryString": query,
                "logGroupNames": ["/aws/lambda/a"],
            }
        ]
        assert listed("theirs/") == []
    # And it goes with the stack
    assert listed() == []
