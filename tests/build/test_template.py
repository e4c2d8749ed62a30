"""What the template's parameters change, read from the template itself."""

import copy
import json
import re
from typing import Any

import pytest

from local.deploy import read_template
from straight_through.buckets.outbox import tags_of
from straight_through.telling.messages import console_of
from tests.build.checkout import ROOT
from tests.build.transformed import transformed

TEMPLATE = read_template(ROOT / "template.yaml")
NO_VALUE = {"Ref": "AWS::NoValue"}


def resources(**parameters: Any) -> dict[str, Any]:
    """The properties of what the template makes with these parameters, by logical id."""
    defaults = {name: each["Default"] for name, each in TEMPLATE["Parameters"].items()}
    assert parameters.keys() <= defaults.keys()
    given = defaults | parameters

    def filled(node: Any) -> Any:
        """The node as CloudFormation reads it: parameters, conditions and AWS::NoValue."""
        match node:
            case {"Ref": name} if name in given:
                return given[name]
            case {"Condition": name} if len(node) == 1:
                return filled(TEMPLATE["Conditions"][name])
            case {"Fn::Equals": [left, right]}:
                return str(filled(left)) == str(filled(right))
            case {"Fn::Join": ["", {"Ref": name}]} if name in given:
                return "".join(given[name])
            case {"Fn::Not": [condition]}:
                return not filled(condition)
            case {"Fn::If": [name, yes, no]}:
                return filled(yes if filled(TEMPLATE["Conditions"][name]) else no)
            case dict():
                filled_ones = {name: filled(each) for name, each in node.items()}
                return {name: each for name, each in filled_ones.items() if each != NO_VALUE}
            case list():
                return [each for each in map(filled, node) if each != NO_VALUE]
        return node

    return {
        name: filled(each["Properties"])
        for name, each in TEMPLATE["Resources"].items()
        if "Condition" not in each or filled(TEMPLATE["Conditions"][each["Condition"]])
    }


def lifecycle(bucket: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A bucket's lifecycle rules by their ids, without what all of them have."""
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    return {rule.pop("Id"): rule for rule in rules}


def test_nothing_is_removed_unless_a_retention_is_given() -> None:
    made = resources()
    assert lifecycle(made["InboxBucket"]).keys() == {"AbortUploads"}
    # But what was released: of that, the old versions
    assert lifecycle(made["OutboxBucket"]) == {
        "AbortUploads": {
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            "ExpiredObjectDeleteMarker": True,
        },
        "RemoveReleased": {
            "Status": "Enabled",
            "Prefix": "held/",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        },
    }


def test_old_versions_in_the_inbox_go_after_their_days_and_nothing_else() -> None:
    made = resources(InboxVersionRetentionDays=14)
    assert lifecycle(made["InboxBucket"])["ExpireVersions"] == {
        "Status": "Enabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 14},
    }
    assert lifecycle(made["OutboxBucket"]).keys() == {"AbortUploads", "RemoveReleased"}


def days_of(made: dict[str, Any], key: str, tags: str = "") -> set[int]:
    """After how many days the outbox's rules remove an object with these tags."""
    return {
        rule["ExpirationInDays"]
        for rule in lifecycle(copy.deepcopy(made["OutboxBucket"])).values()
        if "ExpirationInDays" in rule and key.startswith(rule.get("Prefix", ""))
        if all(f"{tag['Key']}={tag['Value']}" == tags for tag in rule.get("TagFilters", []))
    }


def test_outputs_go_after_their_days_and_their_versions_with_them() -> None:
    made = resources(OutboxRetentionDays=30)
    for name in ("ExpireOutputs", "ExpirePrepared"):
        rule = lifecycle(copy.deepcopy(made["OutboxBucket"]))[name]
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    for key in ("claims/may/may-1/a.csv", "heldover/may/may-1/manifest.json"):
        assert days_of(made, key, tags_of(key)) == {30}
    assert days_of(made, "prepared/claims/may-1.csv") == {30}
    assert lifecycle(made["InboxBucket"]).keys() == {"AbortUploads"}


@pytest.mark.parametrize("key", ["held/claims/may/may-1/a.csv", "held/claims/x/manifest.json"])
def test_what_a_gate_holds_stays_for_as_long_as_its_own_days_say(key: str) -> None:
    assert days_of(resources(OutboxRetentionDays=30), key, tags_of(key)) == set()
    assert days_of(resources(OutboxRetentionDays=30, HeldRetentionDays=90), key) == {90}


@pytest.mark.parametrize("group", ["FunctionLogs", "StateMachineLogs"])
def test_logs_are_kept_as_long_as_is_said(group: str) -> None:
    assert resources()[group]["RetentionInDays"] == 90
    assert resources(LogRetentionDays=7)[group]["RetentionInDays"] == 7


def test_no_inbox_is_made_where_one_exists() -> None:
    made = resources(ExistingInboxBucket="theirs")
    assert not {"InboxBucket", "InboxBucketPolicy"} & made.keys()
    assert made["DropRule"]["EventPattern"]["detail"]["bucket"]["name"] == ["theirs"]


def test_of_an_inbox_that_is_used_for_other_things_only_one_prefix_is_touched() -> None:
    # Given a prefix, then only what lies below it makes an event, and is read and written
    made = resources(ExistingInboxBucket="theirs", InboxPrefix="quantemplate/")
    keys = made["DropRule"]["EventPattern"]["detail"]["object"]["key"]
    assert keys == [{"prefix": "quantemplate/"}]
    for of in ("ReadInbox", "PublishRun"):
        assert "s3:::${Inbox}/${InboxPrefix}*" in str(made[of])
        assert "${Inbox}/*" not in str(made[of])
    # And without one, all of it
    assert "object" not in resources()["DropRule"]["EventPattern"]["detail"]


def test_what_a_parameter_must_be_is_said_in_words() -> None:
    # Given the parameters whose values must match a pattern, which CloudFormation would show
    patterned = [each for each in TEMPLATE["Parameters"].values() if "AllowedPattern" in each]
    assert patterned
    # Then each says what that means
    assert all(each.get("ConstraintDescription", "").startswith("must ") for each in patterned)


@pytest.mark.parametrize("parameter", ["QuantemplateApiUrl", "QuantemplateTokenUrl"])
@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://fabric.prod.quantemplate.com/external/v1", True),
        ("http://127.0.0.1:4567/external/v1", True),
        ("http://localhost:4567/v1", True),
        ("http://[::1]/v1", True),
        ("http://fabric.prod.quantemplate.com/external/v1", False),
        ("http://127.0.0.1.evil.example/v1", False),
        ("http://localhost@evil.example/v1", False),
        ("http://localhost:80@evil.example/v1", False),
        ("ftp://127.0.0.1/v1", False),
    ],
)
def test_without_tls_only_this_machine_is_asked(parameter: str, url: str, taken: bool) -> None:  # noqa: FBT001
    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, url)) is taken


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("", True),
        ("https://qt.example/{organisation_id}/pipelines/{pipeline_id}", True),
        ("https://qt.example/#/p/{pipeline_id}/runs?all=1", True),
        ("http://qt.example/{organisation_id}/{pipeline_id}", False),
        ("javascript:alert('{pipeline_id}')", False),
        ("https://{pipeline_id}.example/", False),
        ("https://qt.example/{pipeline}/{pipeline_id}", False),
        ("https://qt.example/pipelines", False),
        ("https://qt.example/{pipeline_id} then", False),
        ("https://qt.example/{pipeline_id}\n", False),
    ],
)
def test_the_page_of_a_pipeline_is_an_address_with_its_ids(url: str, taken: bool) -> None:  # noqa: FBT001
    pattern = TEMPLATE["Parameters"]["PipelinePageUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, url)) is taken
    variables = resources(PipelinePageUrl=url)["RunEnded"]["Environment"]["Variables"]
    assert variables["PIPELINE_PAGE_URL"] == url


# What each function may do, and nothing else; AWS's services first, by their actions.
TURNS = {
    *("dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
    *("dynamodb:ConditionCheckItem", "states:SendTaskSuccess", "states:DescribeExecution"),
}
TELL = {
    *("events:PutEvents", "sns:Publish"),
    *("s3:PutObject outbox", "s3:GetObject outbox", "s3:ListBucket outbox"),
}
READ_INBOX = {"s3:GetObject inbox", "s3:GetObjectVersion inbox", "s3:ListBucket inbox"}
WRITE_OUTBOX = {"s3:PutObject outbox", "s3:AbortMultipartUpload outbox"}
TAG_OUTPUTS = "s3:PutObjectTagging outbox"
EXPORT = {
    f"s3:{may} lake" for may in ("GetObject", "PutObject", "AbortMultipartUpload", "ListBucket")
}
MAY = {
    "StartRun": {"states:StartExecution"},
    "CheckFile": {
        *READ_INBOX,
        *("ssm:GetParameters", "dynamodb:GetItem", "dynamodb:UpdateItem"),
        "dynamodb:DeleteItem",  # of notices alone
    },
    "TakeTurn": {*READ_INBOX, *TURNS, "ssm:GetParameters"},
    "UploadAndExecute": {
        *READ_INBOX,
        *TURNS,
        *WRITE_OUTBOX,
        *("ssm:GetParameters", "secretsmanager:GetSecretValue"),
    },
    "CheckStatus": {*TURNS, "ssm:GetParameters", "secretsmanager:GetSecretValue"},
    "DownloadOutput": {*WRITE_OUTBOX, TAG_OUTPUTS, "secretsmanager:GetSecretValue"},
    "PublishRun": {
        *WRITE_OUTBOX,
        TAG_OUTPUTS,
        *EXPORT,
        *("s3:GetObject outbox", "s3:DeleteObject outbox", "s3:ListBucket outbox"),
        *("s3:PutObject inbox", "s3:AbortMultipartUpload inbox"),
        *("ssm:GetParameters", "dynamodb:UpdateItem"),
    },
    "RunEnded": {*TURNS, *TELL},
    "SweepQueues": {
        *(*TURNS, *TELL, "states:SendTaskFailure"),
        *("states:StartExecution", "ssm:GetParametersByPath"),
    },
    "PauseQueue": TURNS,
    "TakeEvent": {  # where events are taken
        *("dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"),
        *("states:SendTaskSuccess", "states:StartExecution", "secretsmanager:GetSecretValue"),
    },
}


@pytest.mark.parametrize("function", MAY)
def test_tags_of_dropped_files_are_read_and_written_only_where_that_is_wanted(
    function: str,
) -> None:
    tags = {"s3:GetObjectVersionTagging inbox", "s3:PutObjectVersionTagging inbox"}
    tells = function in ("RunEnded", "SweepQueues")
    assert rights(function, TagFiles="on") == MAY[function] | (tags if tells else set())
    if tells:  # then it knows where, and else nothing of it
        where = resources(TagFiles="on", ExistingInboxBucket="inbox", InboxPrefix="qt/")
        asked = where[function]["Environment"]["Variables"]["TAGGED_FILES"]
        assert asked == {"Fn::Sub": ["${Inbox}/${InboxPrefix}", {"Inbox": "inbox"}]}
        assert resources()[function]["Environment"]["Variables"]["TAGGED_FILES"] == ""


# And with keys of one's own: those alone, and only by who reads and writes what they encrypt.
DATA_KEY, INBOX_KEY, LAKE_KEY = (
    f"arn:aws:kms:eu-west-1:000000000000:key/{of}" for of in ("data", "inbox", "lake")
)
KEYS = {
    "DataKeyArn": DATA_KEY,
    "InboxKeyArn": INBOX_KEY,
    "DestinationKeyArns": [LAKE_KEY],
}
USE_DATA_KEY = {f"kms:Decrypt {DATA_KEY}", f"kms:GenerateDataKey {DATA_KEY}"}
READ_KEY = {f"kms:Decrypt {INBOX_KEY}"}
MAY_WITH_KEYS = {
    "CheckFile": READ_KEY,
    "TakeTurn": READ_KEY,
    "UploadAndExecute": READ_KEY,
    "PublishRun": {
        f"kms:{may} {key}"
        for may in ("Decrypt", "GenerateDataKey")
        for key in (INBOX_KEY, LAKE_KEY)
    },
}


def rights(function: str, **parameters: Any) -> set[str]:
    """What a function may, its managed policies included; of S3 with the bucket, of KMS the key."""
    given = {"ExistingInboxBucket": "inbox", "DestinationBuckets": "lake"} | parameters
    made = resources(QuantemplateEvents="on", **given)
    found = set()
    for policy in made[function]["Policies"]:
        document = made[policy["Ref"]]["PolicyDocument"] if "Ref" in policy else policy
        for statement in document["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            actions = statement["Action"]
            where = str(statement["Resource"])
            bucket = next((b for b in ("lake", "inbox", "OutboxBucket") if b in where), "")
            assert "*" not in (where, statement["Resource"])
            for action in [actions] if isinstance(actions, str) else actions:
                if action.startswith("kms:"):
                    keys = statement["Resource"]
                    found |= {
                        f"{action} {key}" for key in ([keys] if isinstance(keys, str) else keys)
                    }
                    continue
                told = f" {bucket.removesuffix('Bucket').lower()}" if "s3:" in action else ""
                found.add(action + told)
    return found


def open_to_all(**parameters: Any) -> dict[str, set[str]]:
    """What of a stack anybody may call, and how; its addresses too."""
    found: dict[str, set[str]] = {}
    for name, given in resources(**parameters).items():
        kind = TEMPLATE["Resources"][name]["Type"]
        if kind == "AWS::Lambda::Url":
            found.setdefault(given["TargetFunctionArn"]["Fn::GetAtt"][0], set()).add(name)
        if kind == "AWS::Lambda::Permission" and given["Principal"] == "*":
            # "Control access to Lambda function URLs": both, the second through an address alone.
            assert given.get("FunctionUrlAuthType") == "NONE" or given["InvokedViaFunctionUrl"]
            found.setdefault(given["FunctionName"]["Ref"], set()).add(given["Action"])
        if "FunctionUrlConfig" in given:  # SAM would make an address of it
            found.setdefault(name, set()).add("FunctionUrlConfig")
    return found


def test_nothing_of_the_stack_is_public_unless_events_are_taken() -> None:
    # Given the stack as it is delivered, then nobody from outside can call anything of it
    assert open_to_all() == {}
    assert "TakeEvent" not in resources()
    # And where events are taken it is one function, at one address
    both = {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert open_to_all(QuantemplateEvents="on") == {"TakeEvent": {"EventsUrl"} | both}


def test_a_flood_of_events_takes_so_many_invocations_at_a_time() -> None:
    of = "ReservedConcurrentExecutions"
    assert resources(QuantemplateEvents="on")["TakeEvent"][of] == 5
    assert resources(QuantemplateEvents="on", EventsConcurrency=9)["TakeEvent"][of] == 9
    # And an account that has nothing to reserve reserves nothing
    assert of not in resources(QuantemplateEvents="on", EventsConcurrency=0)["TakeEvent"]


@pytest.mark.parametrize("function", MAY)
def test_a_function_may_what_it_needs_and_nothing_else(function: str) -> None:
    assert rights(function) == MAY[function]


@pytest.mark.parametrize("function", MAY)
def test_keys_of_ones_own_may_be_used_and_no_other(function: str) -> None:
    with_keys = MAY[function] | USE_DATA_KEY | MAY_WITH_KEYS.get(function, set())
    assert rights(function, **KEYS) == with_keys


def test_no_function_may_touch_a_network_though_sam_lets_its_role() -> None:
    """Lambda developer guide, "Using source function ARN to control function access behavior".

    https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
    """
    made = transformed()["Resources"]
    for function in MAY:
        role = made[f"{function}Role"]["Properties"]
        # Given what SAM adds, which AWS has written, and nothing beside it
        added = {
            str(each).rpartition("/")[2] for each in role["ManagedPolicyArns"] if "arn" in each
        }
        logs = {"AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole"}
        assert added == logs | (
            {"AWSLambdaSQSQueueExecutionRole"} if function == "StartRun" else set()
        )
        # Then the code of the function may nothing of it that is about networks
        assert {"Ref": "EveryFunction"} in role["ManagedPolicyArns"]
        name = made[function]["Properties"]["FunctionName"]["Fn::Sub"]
        assert name.startswith("${AWS::StackName}-")
    deny, *_ = made["EveryFunction"]["Properties"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Action"], deny["Resource"]) == ("Deny", "ec2:*", "*")
    code = deny["Condition"]["ArnLike"]["lambda:SourceFunctionArn"]["Fn::Sub"]
    assert code.endswith(":function:${AWS::StackName}-*")


# --- keys, boundary, networks --------------------------------------------------------------------
ENCRYPTED: dict[str, dict[str, Any]] = {
    "TurnsTable": {
        "SSESpecification": {"KMSMasterKeyId": DATA_KEY, "SSEType": "KMS", "SSEEnabled": True}
    },
    "Credentials": {"KmsKeyId": DATA_KEY},
    "Topic": {"KmsMasterKeyId": DATA_KEY},
    "FunctionLogs": {"KmsKeyId": DATA_KEY},
    "StateMachineLogs": {"KmsKeyId": DATA_KEY},
}


def encryption(bucket: dict[str, Any]) -> dict[str, Any]:
    """How a bucket encrypts what nobody says more of."""
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return dict(rule["ServerSideEncryptionByDefault"])


def test_whatever_the_stack_keeps_is_encrypted_with_its_key() -> None:
    # Given a key, then each kind of resource that holds data names it
    made, kinds = resources(DataKeyArn=DATA_KEY), TEMPLATE["Resources"]
    for name, wanted in ENCRYPTED.items():
        assert made[name].items() >= wanted.items()
    queues = [name for name in made if kinds[name]["Type"] == "AWS::SQS::Queue"]
    assert queues
    for queue in queues:
        assert made[queue]["KmsMasterKeyId"] == DATA_KEY
        assert "SqsManagedSseEnabled" not in made[queue]
    for bucket in ("InboxBucket", "OutboxBucket"):
        wanted = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": DATA_KEY}
        assert encryption(made[bucket]) == wanted
    # And without one, AWS's own keys encrypt all of it
    made = resources()
    assert not [name for name, each in made.items() if "Kms" in str(each) or "KMS" in str(each)]
    assert all(made[queue]["SqsManagedSseEnabled"] is True for queue in queues)
    assert encryption(made["OutboxBucket"]) == {"SSEAlgorithm": "AES256"}


def test_every_role_has_the_boundary_and_every_function_the_network() -> None:
    made = transformed()["Resources"]
    roles = [each["Properties"] for each in made.values() if each["Type"] == "AWS::IAM::Role"]
    functions = [
        each["Properties"] for each in made.values() if each["Type"] == "AWS::Lambda::Function"
    ]
    boundary = {"Fn::If": ["Bounded", {"Ref": "PermissionsBoundaryArn"}, NO_VALUE]}
    assert len(roles) == len(MAY) + 1
    assert all(role["PermissionsBoundary"] == boundary for role in roles)
    assert len(functions) == len(MAY)
    assert {each["VpcConfig"]["Fn::If"][0] for each in functions} == {"InNetwork"}


def test_what_several_functions_may_is_said_once() -> None:
    made = resources()
    said = [
        str(statement)
        for each in made.values()
        for policy in (*each.get("Policies", []), each)
        for document in [policy.get("PolicyDocument", policy)]
        for statement in document.get("Statement", [])
        if statement.get("Effect") == "Allow"
    ]
    assert len(said) == len(set(said))


# --- every partition -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws", "eu-west-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")],
)
def test_every_arn_and_every_link_is_of_the_partition_that_the_stack_is_in(
    partition: str, region: str
) -> None:
    # When the template is deployed there
    made = json.dumps(transformed(region)["Resources"])
    # Then what it says of ARNs is of that partition, or of none
    named = set(re.findall(r"arn:(\$\{[\w:]+\}|[^:]*):", made))
    assert named == {partition, "${AWS::Partition}", "*"}
    # And its links lead to the console that the messages' links lead to
    console = TEMPLATE["Mappings"]["Partitions"][partition]["Console"]
    assert f"https://{region}.{console}" == console_of(f"arn:{partition}:states:{region}:1:x")
    assert "console.a" not in made


def test_the_definition_names_no_partition() -> None:
    definition = (ROOT / "statemachine/straight_through.asl.yaml").read_text("utf-8")
    assert set(re.findall(r"arn:([^:]*):", definition)) == {"${Partition}"}
