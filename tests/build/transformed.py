"""The template as SAM's transform makes plain CloudFormation of it."""

from typing import Any

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.arn_generator import ArnGenerator
from samtranslator.translator.translator import Translator

from local.deploy import Template, package, read_template
from tests.build.checkout import ROOT


def transformed(region: str = "eu-west-1", **parameters: Any) -> Template:
    """The template as it is deployed in a region, with these parameters."""
    file = ROOT / "template.yaml"
    # What is uploaded is all the same: its address alone stands in the template.
    packaged = package(read_template(file), ROOT, file, lambda name, _: f"s3://code/{name}")
    with pytest.MonkeyPatch.context() as here:
        here.setattr(ArnGenerator, "BOTO_SESSION_REGION_NAME", region)
        here.setenv("AWS_DEFAULT_REGION", region)
        made: Template = Translator(None, Parser()).translate(
            packaged, parameters, get_managed_policy_map=dict
        )
    return made
