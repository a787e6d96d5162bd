"""values.yaml, its schema and the README say the same."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kopf_sdk.testing.tools import binary
from unit.chart.helm import CHART, objects

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
NOT_OURS = {"enabled", "resources", "affinity"}
"""A parent chart's condition, and Kubernetes' own types."""
MAPS = {
    "resources",
    "podSecurityContext",
    "securityContext",
    "nodeSelector",
    "metrics.serviceMonitor.tlsConfig",
    "metrics.dashboard.labels",
}
"""Maps that are not empty by default."""


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return SCHEMA["$defs"][reference.removeprefix("#/$defs/")] if reference else schema


def in_schema(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    properties = resolved(schema).get("properties")
    if not properties:
        yield path
    for name, inner in (properties or {}).items():
        yield from in_schema(inner, (*path, name))


def test_what_the_schema_allows_has_a_default_in_the_values() -> None:
    """The other way round, Helm itself refuses a default that the schema does not know."""
    for path in in_schema(SCHEMA):
        node: Any = VALUES
        for step in path if path[0] not in NOT_OURS else ():
            if node == {}:
                break
            assert step in node, ".".join(path)
            node = node[step]


def test_every_object_of_the_schema_is_closed() -> None:
    def objects(schema: Any) -> Iterator[dict[str, Any]]:
        if isinstance(schema, dict):
            if "properties" in schema and isinstance(schema["properties"], dict):
                yield schema
            for inner in schema.values():
                yield from objects(inner)

    opened = [schema for schema in objects(SCHEMA) if schema.get("additionalProperties") is not False]
    assert opened == [SCHEMA["properties"]["global"]], "a parent chart's global values are everybody's"


def test_every_value_is_documented_where_it_stands() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    undocumented = []
    for number, line in enumerate(lines):
        key = re.match(r"( *)([A-Za-z]+):(.*)", line)
        if not key or inside_documented(lines, number, len(key[1])):
            continue
        holds_more = number + 1 < len(lines) and lines[number + 1].startswith(key[1] + "  ") and not key[3].strip()
        if not holds_more and not lines[number - 1].strip().startswith("#"):
            undocumented.append(line)
    assert undocumented == []


def inside_documented(lines: list[str], number: int, indent: int) -> bool:
    """Whether a key around this line has a `# --` comment, which then speaks for all of it."""
    for above in range(number - 1, -1, -1):
        line = lines[above]
        width = len(line) - len(line.lstrip())
        if line.strip() and not line.strip().startswith("#") and width < indent:
            comment = above - 1
            while comment >= 0 and lines[comment].strip().startswith("#"):
                if lines[comment].strip().startswith("# --"):
                    return True
                comment -= 1
            indent = width
    return False


def nullable(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """The values whose default is text, a list or a map of the user's, as `--set` names them."""
    for name, value in values.items():
        if value in ("", [], {}) or f"{path}{name}" in MAPS:
            yield f"{path}{name}"
        elif isinstance(value, dict):
            yield from nullable(value, f"{path}{name}.")


def test_null_is_as_good_as_nothing() -> None:
    """A key without a value in a file is null, and takes the default away."""
    values = [*nullable(VALUES)]
    assert {"watch.namespaces", "podLabels", "resources", "image.tag", "metrics.dashboard.labels"} <= {*values}
    metrics = "serviceMonitor", "prometheusRule", "dashboard"
    enabled = ["networkPolicy", "podDisruptionBudget", "webhook", "webhook.certificates.operatorManaged"]
    enabled += [f"metrics.{part}" for part in metrics]
    items = objects(
        "--set", ",".join(f"{value}=null" for value in values) + "".join(f",{x}.enabled=true" for x in enabled)
    )
    (budget,) = [item["spec"] for item in items if item["kind"] == "PodDisruptionBudget"]
    assert budget["maxUnavailable"] == 1


def test_the_readme_is_generated_from_the_values() -> None:
    command: list[str | Path] = [
        binary("helm-docs"),
        "--chart-search-root",
        CHART,
        "--dry-run",
        "--sort-values-order",
        "file",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == (CHART / "README.md").read_text().strip(), "run `make chart-docs`"
