"""The parameters and outputs of the template, from the template."""

from typing import Any

from docs.sources import ROOT
from docs.tables import code, table
from local.deploy import read_template

ABOUT = """# Parameters and outputs of the stack

From [`template.yaml`](../../template.yaml). `sam deploy --parameter-overrides OutboxRetentionDays=365`
sets one; an update keeps those that it does not name.
"""
OUTPUTS = """## Outputs

```
aws cloudformation describe-stacks --stack-name straight-through --query "Stacks[0].Outputs" --output table
```
"""


def page() -> str:
    """Return the page."""
    template = read_template(ROOT / "template.yaml")
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    parts = [ABOUT.strip()]
    for group in groups:
        named = {name: template["Parameters"][name] for name in group["Parameters"]}
        rows = [
            (code(name), code(str(told["Default"])), _limits(told), told["Description"])
            for name, told in named.items()
        ]
        parts.append(f"## {group['Label']['default']}")
        parts.append(table(["parameter", "default", "limits", "meaning"], rows))
    outputs = template["Outputs"].items()
    parts.append(OUTPUTS.strip())
    parts.append(
        table(["output", "meaning"], [(code(name), o["Description"]) for name, o in outputs])
    )
    return "\n\n".join(parts)


def _limits(told: dict[str, Any]) -> str:
    """Return what a parameter's value must be."""
    if "AllowedValues" in told:
        return ", ".join(map(str, told["AllowedValues"]))
    if "MaxValue" in told:
        return f"{told['MinValue']:,} to {told['MaxValue']:,}"
    if "MinValue" in told:
        return f"{told['MinValue']} or more"
    return str(told.get("ConstraintDescription", "")).removesuffix(".")
