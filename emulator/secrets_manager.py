"""Secrets without a value, and the secrets of a CloudFormation stack."""

import string
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from emulator.seams import replace, replace_item, seam

Properties = dict[str, Any]


def install() -> None:
    """Give secrets the identity and the values that they have on AWS."""
    replace(secretsmanager, "_create_secret", perhaps_without_value)
    replace(provisioners, "_sm_secret_string", without_what_is_excluded)
    kind = "AWS::SecretsManager::Secret"
    replace_item(provisioners, "_RESOURCE_HANDLERS", kind, secret_handlers)


def perhaps_without_value(create: Callable[[Properties], Any]) -> Callable[[Properties], Any]:
    """A secret has no value until one is put, where none was given.

    AWS documentation: "CreateSecret" (AWS Secrets Manager API reference).
    """
    secrets = seam(secretsmanager, "_secrets")

    def create_secret(request: Properties) -> Any:
        reply = create(request)
        if reply[0] == HTTPStatus.OK and not request.keys() & {"SecretString", "SecretBinary"}:
            secrets[request["Name"]]["Versions"].clear()
        return reply

    return create_secret


# Of GenerateSecretString's settings, those by which a kind of characters is left out.
KINDS = {
    "ExcludePunctuation": string.punctuation,
    "ExcludeNumbers": string.digits,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeLowercase": string.ascii_lowercase,
}


def without_what_is_excluded(made: Callable[[Properties], str]) -> Callable[[Properties], str]:
    """A generated secret has no character of a kind that the template excludes.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-secretsmanager-secret-generatesecretstring.html
    """

    def secret_string(properties: Properties) -> str:
        asked = properties.get("GenerateSecretString")
        if not asked:
            return made(properties)
        kinds = [kind for name, kind in KINDS.items() if str(asked.get(name)).lower() == "true"]
        left_out = "".join([asked.get("ExcludeCharacters", ""), *kinds])
        generate = {**asked, "ExcludeCharacters": left_out}
        generate["PasswordLength"] = int(asked.get("PasswordLength", 32))
        return made({**properties, "GenerateSecretString": generate})

    return secret_string


def secret_handlers(handlers: Properties) -> Properties:
    """Let Ref be the ARN, and a secret without SecretString and GenerateSecretString have no value.

    AWS documentation: "AWS::SecretsManager::Secret" (AWS CloudFormation template reference).
    """
    secrets, delete = seam(secretsmanager, "_secrets"), handlers["delete"]

    def creating(create: Callable[..., tuple[str, Properties]]) -> Callable[..., Any]:
        def create_secret(logical_id: str, properties: Properties, stack: str) -> Any:
            name, attributes = create(logical_id, properties, stack)
            if not properties.keys() & {"SecretString", "GenerateSecretString"}:
                secrets[name]["Versions"].clear()
            return attributes["Arn"], attributes

        return create_secret

    def updating(update: Callable[..., tuple[str, Properties]]) -> Callable[..., Any]:
        def update_secret(arn: str, *rest: Any, **named: Any) -> Any:
            _, attributes = update(name_of(arn), *rest, **named)
            return attributes["Arn"], attributes

        return update_secret

    return {
        **handlers,
        "create": creating(handlers["create"]),
        "update": updating(handlers["update"]),
        "delete": lambda arn, properties: delete(name_of(arn), properties),
    }


def name_of(secret_arn: str) -> str:
    """The name in a secret's ARN, which ends in a hyphen and six random characters."""
    return secret_arn.split(":secret:")[1][:-7]
