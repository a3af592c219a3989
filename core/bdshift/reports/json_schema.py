"""The schema of what commands print as JSON: ``resources/schemas/output.json``, a JSON Schema
(2020-12). Every output says in its first key which of its definitions it follows.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

from bdshift.assets import asset

JsonOutput = Literal["scan", "purify", "compare", "recover", "info", "fleet"]
JSON_OUTPUTS: tuple[JsonOutput, ...] = get_args(JsonOutput)
"""Commands whose JSON has a schema."""

_VERSIONS: dict[JsonOutput, int] = dict.fromkeys(JSON_OUTPUTS, 1)
"""Raised by what changes or leaves; new keys do not."""


def with_schema(output: JsonOutput, told: dict[str, Any]) -> dict[str, Any]:
    """What a command tells, with the name of its schema first."""
    return {"schema": f"bdshift-{output}-{_VERSIONS[output]}", **told}


def json_schema(output: JsonOutput | None = None) -> dict[str, Any]:
    """The schema of one command's output; by default of all, of which each has to be one."""
    found: dict[str, Any] = json.loads(asset("schemas/output.json").read_text("utf-8"))
    if output is not None:
        del found["oneOf"]
        found["title"] = f"bdshift {output} --json"
        found["$ref"] = f"#/$defs/{output}"
    return found
