"""What other systems get of a run: the event of its end, its manifest and its line, by schema."""

import json

from docs.sources import schema
from docs.tables import schema_table
from straight_through.telling.messages import DETAIL_TYPE, SOURCE

PATTERN = {"source": [SOURCE], "detail-type": [DETAIL_TYPE]}
ABOUT = """# Events and manifests

## Run Ended

Each end of an execution, after each redrive too, is one event on the account's default event bus, told
at least once. A rule for it has this pattern ([how](../messages.md#events)):

```json
{pattern}
```

Its `resources` has the execution's ARN. Its `detail`
([schema](../../layers/straight_through/run_ended.schema.json)):
"""
MANIFEST = """## manifest.json

Written last into the run's folder of the outbox: where it is, the outputs are complete
([schema](../../layers/straight_through/manifest.schema.json);
[how it looks](../what-comes-back.md#the-manifest)).
"""
ROW = """## The line of a run

Of each run that has ended, `runs/year=YYYY/month=MM/<run>.json` in the outbox is one line of JSON
([schema](../../layers/straight_through/run_row.schema.json); [what to ask of them](../query-your-runs.md)):
"""


def page() -> str:
    """Return the page."""
    ended, manifest, row = schema("run_ended"), schema("manifest"), schema("run_row")
    return "\n\n".join(
        [
            ABOUT.format(pattern=json.dumps(PATTERN)).strip(),
            schema_table(ended, ended),
            MANIFEST.strip(),
            schema_table(manifest, manifest),
            ROW.strip(),
            schema_table(row, row),
        ]
    )
