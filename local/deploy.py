"""Deploy the project's own template.yaml into the local AWS, as `sam deploy` does in the cloud."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from local.build import function_zip

REGION = "eu-west-1"
STACK_NAME = "straight-through"
ARTEFACTS = "artefacts"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
DEADLINE = 120  # seconds for the whole stack
ORGANISATION = "c-broker"
ROUTES = {  # folder: (dataset, pipeline)
    "claims": ("d-claims", "p-claims"),
    "claims/eu": ("d-claims-eu", "p-claims-eu"),
    "premiums": ("d-premiums", "p-premiums"),
}

Template = dict[str, Any]
Upload = Callable[[str, bytes], str]


class DeployFailed(Exception):
    """The stack was not created; the message names the resources that failed and why."""


def clients(endpoint: str) -> Callable[[str], Any]:
    """A maker of boto3 clients of the local AWS, one of each service: making one takes long."""
    session: Any = boto3.Session("test", "test", region_name=REGION)
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}, proxies={})
    return cache(lambda service: session.client(service, endpoint_url=endpoint, config=config))


def deploy(
    client: Callable[[str], Any],
    root: Path,
    layer: Path,
    parameters: Mapping[str, str],
    progress: Callable[[str], None],
) -> dict[str, str]:
    """Package and create the stack of `root`; return its outputs. Raises DeployFailed."""
    progress("uploading the code")
    url = packaged(client("s3"), root, layer)
    return create_stack(client("cloudformation"), url, parameters, progress)


def packaged(s3: Any, root: Path, layer: Path) -> str:
    """Upload the stack of `root`; return where its template lies."""
    upload = uploader(s3)
    template = package(read_template(root / "template.yaml"), root, layer, upload)
    # From S3, as what is sent with the request has 51,200 bytes at most.
    stored = upload("template.json", json.dumps(template, ensure_ascii=False).encode())
    return f"{s3.meta.endpoint_url}/{stored.removeprefix('s3://')}"


# --- the template ------------------------------------------------------------------------------
class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags (`!Ref`, `!Sub`, …); dates stay text."""


def long_form(loader: TemplateLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    """`!Sub x` as `{"Fn::Sub": x}`."""
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


TemplateLoader.add_multi_constructor("!", long_form)
TemplateLoader.add_constructor("tag:yaml.org,2002:timestamp", TemplateLoader.construct_yaml_str)  # type: ignore[type-var] # declared of the base alone


def read_template(path: Path) -> Template:
    """A CloudFormation template as plain data, all tags in their long form."""
    text = path.read_text(encoding="utf-8")
    template: Template = yaml.load(text, TemplateLoader)  # noqa: S506 - it is a SafeLoader
    return template


def package(template: Template, root: Path, layer: Path, upload: Upload) -> Template:
    """The template with its local paths replaced by what was uploaded; nothing else is changed."""
    resources = {}
    for name, resource in template["Resources"].items():
        properties = dict(resource.get("Properties", {}))
        match resource["Type"]:
            case "AWS::Serverless::Function":
                code = function_zip(root / properties["CodeUri"])
                properties["CodeUri"] = upload(f"{name}.zip", code)
            case "AWS::Serverless::LayerVersion":
                properties["ContentUri"] = upload(f"{name}.zip", layer.read_bytes())
            case "AWS::Serverless::StateMachine":
                definition = yaml.safe_load((root / properties["DefinitionUri"]).read_text("utf-8"))
                document = json.dumps(definition, ensure_ascii=False).encode()
                properties["DefinitionUri"] = upload(f"{name}.json", document)
            case _:
                resources[name] = resource
                continue
        resources[name] = {**resource, "Properties": properties}
    return {**template, "Resources": resources}


def uploader(s3: Any) -> Upload:
    """Puts an artefact into the local S3 and returns its s3:// address; the content names it."""
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=ARTEFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})

    def upload(name: str, content: bytes) -> str:
        key = f"{hashlib.sha256(content).hexdigest()[:16]}/{name}"
        s3.put_object(Bucket=ARTEFACTS, Key=key, Body=content)
        return f"s3://{ARTEFACTS}/{key}"

    return upload


# --- the stack ---------------------------------------------------------------------------------
def create_stack(
    cloudformation: Any,
    template_url: str,
    parameters: Mapping[str, str],
    progress: Callable[[str], None],
) -> dict[str, str]:
    """Create the stack and wait for it; return its outputs. Raises DeployFailed."""
    progress(f"deploying {STACK_NAME}")
    cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateURL=template_url,
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=CAPABILITIES,
    )
    return outputs_when(cloudformation, "CREATE_COMPLETE", progress)


def outputs_when(
    cloudformation: Any, status: str, progress: Callable[[str], None]
) -> dict[str, str]:
    """Wait until the stack has this status; return its outputs. Raises DeployFailed."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        if stack["StackStatus"] == status:
            return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            reasons = "\n".join(failures(events)) or stack.get("StackStatusReason", "")
            raise DeployFailed(f"the stack ended as {stack['StackStatus']}\n{reasons}")
        made = {each["LogicalResourceId"] for each in events if created(each)}
        progress(f"deploying {STACK_NAME}: {len(made)} resources made")
        time.sleep(0.1)
    raise DeployFailed(f"the stack was not ready after {DEADLINE} seconds")


def created(event: Mapping[str, Any]) -> bool:
    """Whether a stack event says that a resource is there."""
    return bool(event.get("ResourceStatus") == "CREATE_COMPLETE")


def failures(events: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each resource that failed by itself, the first one first."""
    for event in reversed(events):
        reason = event.get("ResourceStatusReason", "no reason given")
        failed = event["ResourceStatus"].endswith("_FAILED")
        if failed and "cancelled" not in reason and event["LogicalResourceId"] != STACK_NAME:
            yield f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}"


# --- what an operator puts into the stack ------------------------------------------------------
def put_credentials(secretsmanager: Any, secret: str, client_id: str, client_secret: str) -> None:
    """Give the stack's secret its value."""
    value = json.dumps({"client_id": client_id, "client_secret": client_secret})
    secretsmanager.put_secret_value(SecretId=secret, SecretString=value)


def put_routes(ssm: Any, path: str) -> None:
    """Create the routes that the local Quantemplate knows."""
    for folder, (dataset, pipeline) in ROUTES.items():
        route = {
            "organisation_id": ORGANISATION,
            "dataset_id": dataset,
            "pipeline_id": pipeline,
        }
        name = f"{path}/{folder}"
        ssm.put_parameter(Name=name, Value=json.dumps(route), Type="String", Overwrite=True)
