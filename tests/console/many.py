"""A stack of the application's name whose runs end as they are told to, at once: many are made."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.deploy import STACK_NAME, clients
from straight_through.queue.records import record_key
from straight_through.queue.table import Key, Table

ROUTES_PATH = f"/{STACK_NAME}/routes"
IDS = {"organisation_id": "c-1", "dataset_id": "d-1"}
# Waits, fails or returns a result, as the input says.
DEFINITION = {
    "StartAt": "How?",
    "States": {
        "How?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.fails", "BooleanEquals": True, "Next": "Failed"},
                {"Variable": "$.waits", "BooleanEquals": True, "Next": "Waiting"},
            ],
            "Default": "Done",
        },
        "Failed": {"Type": "Fail", "Error": "PipelineFailed", "Cause": "why"},
        "Waiting": {"Type": "Wait", "Seconds": 3600, "Next": "Done"},
        "Done": {"Type": "Pass", "OutputPath": "$.result", "End": True},
    },
}
TEMPLATE = {
    "Parameters": {
        "QuantemplateApiUrl": {"Type": "String", "Default": "https://a.example/external/v1"},
        "IgnorePatterns": {"Type": "String", "Default": ""},
        "InboxPrefix": {"Type": "String", "Default": ""},
        "PipelinePageUrl": {"Type": "String", "Default": "https://qt.example/{pipeline_id}"},
    },
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "states.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ]
                }
            },
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "DefinitionString": json.dumps(DEFINITION),
            },
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            },
        },
        "Inbox": {"Type": "AWS::S3::Bucket"},
        "Secret": {"Type": "AWS::SecretsManager::Secret"},
    },
    "Outputs": {
        "StateMachineArn": {"Value": {"Ref": "Machine"}},
        "TurnsTable": {"Value": {"Ref": "Table"}},
        "InboxBucket": {"Value": {"Ref": "Inbox"}},
        "OutboxBucket": {"Value": {"Ref": "Inbox"}},
        "CredentialsSecretArn": {"Value": {"Ref": "Secret"}},
        "RoutesPath": {"Value": ROUTES_PATH},
    },
}


class Many:
    """The stack, and what makes its runs."""

    def __init__(self, endpoint: str, routes: Iterable[str]) -> None:
        """Create it, with routes of these names."""
        self.client = clients(endpoint)
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=STACK_NAME,
            TemplateBody=json.dumps(TEMPLATE),
            Capabilities=["CAPABILITY_IAM"],
        )
        formation.get_waiter("stack_create_complete").wait(
            StackName=STACK_NAME, WaiterConfig={"Delay": 1}
        )
        (stack,) = formation.describe_stacks(StackName=STACK_NAME)["Stacks"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        ssm = self.client("ssm")
        for name in routes:
            document = json.dumps({**IDS, "pipeline_id": f"p-{name}"})
            ssm.put_parameter(Name=f"{ROUTES_PATH}/{name}", Value=document, Type="String")
        self._states = self.client("stepfunctions")
        self._table = Table(self.client("dynamodb"), self.outputs["TurnsTable"])

    def start(self, runs: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Start runs, by name and input, several at a time."""
        machine = self.outputs["StateMachineArn"]

        def begin(run: tuple[str, Mapping[str, Any]]) -> None:
            name, given = run
            self._states.start_execution(
                stateMachineArn=machine, name=name, input=json.dumps({"result": {}, **given})
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(begin, runs))

    def record(self, run: str, **known: Any) -> None:
        """Note in the table what is known of a run."""
        self.put(record_key(run), known)

    def put(self, key: Key, item: Mapping[str, Any]) -> None:
        """Write into an item of the table."""
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in item)
        self._table.update(key, change, **item)
