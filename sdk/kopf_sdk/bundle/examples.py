"""Example resources for `alm-examples`: collected from files and annotations, checked against the schemas."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.config import Config
from kopf_sdk.bundle.crds import Crd
from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.schema import violations
from kopf_sdk.errors import SdkError

__all__ = ["Examples", "collect_examples", "examples_json", "sample_files"]

_HELM_TEMPLATE = "{{"


@dataclass(slots=True, eq=False, repr=False)
class Examples:
    """The examples in order, and what was wrong with candidates."""

    resources: list[Mapping[str, Any]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def sample_files(config: Config) -> dict[str, str]:
    """Return the text of every sample file that bundle.yaml names; a directory stands for the YAML files in it.

    Raises
    ------
    SdkError
        A named path does not exist.
    """
    texts: dict[str, str] = {}
    for entry in config.samples:
        path = config.path(entry)
        if not path.exists():
            raise SdkError(f"{path}: samples: no such file or directory")
        for file in sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]:
            if file.name not in {"kustomization.yaml", "kustomization.yml"}:
                texts[str(file)] = _read(file)
    return texts


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SdkError(f"{path}: samples: {error}") from error


def collect_examples(
    crds: Collection[Crd], files: Mapping[str, str], inline: Iterable[Mapping[str, Any]], *, strict: bool
) -> Examples:
    """Return the examples for owned CRDs, each once, in the order of the CRDs.

    Parameters
    ----------
    files
        Path → YAML text with any number of documents.
    inline
        Resources of the rendering that bundle.yaml makes examples, or, when not `strict`, those of an annotation.
    strict
        The user named the files: a file that is no YAML, or a resource that breaks its schema, is an error, not a
        warning.
    """
    examples = Examples()
    level = Level.ERROR if strict else Level.WARNING
    candidates: list[tuple[str, Mapping[str, Any]]] = []
    for path, text in files.items():
        if _HELM_TEMPLATE in text and not strict:
            continue
        candidates.extend((path, data) for data in yaml.load_all(text, source=path) if isinstance(data, Mapping))
    origin = "bundle.yaml, map to example" if strict else "artifacthub.io/crdsExamples"
    candidates.extend((origin, data) for data in inline)
    owned = {f"{crd.group}/{version.name}/{crd.kind}": (crd, version) for crd in crds for version in crd.versions}
    seen: set[tuple[str, str]] = set()
    for where, data in candidates:
        key = f"{data.get('apiVersion')}/{data.get('kind')}"
        if key not in owned:
            continue
        resource = {name: value for name, value in data.items() if name != "status"}
        metadata = {
            name: value
            for name, value in (data.get("metadata") or {}).items()
            if name not in {"namespace", "creationTimestamp", "uid", "resourceVersion"}
        }
        resource["metadata"] = metadata
        problems = list(violations(resource, owned[key][1].schema))
        name = f"{data.get('kind')} {metadata.get('name')}"
        if problems:
            message = f"{where}: {name} does not fit its schema: " + "; ".join(problems[:5])
            examples.notices.append(Notice(level, "example", message, None, "Correct the sample."))
        elif (key, str(metadata.get("name"))) not in seen:
            seen.add((key, str(metadata.get("name"))))
            examples.resources.append(resource)
    order = {key: number for number, key in enumerate(owned)}
    examples.resources.sort(
        key=lambda item: (order[f"{item['apiVersion']}/{item['kind']}"], str(item["metadata"].get("name")))
    )
    return examples


def examples_json(resources: Collection[Mapping[str, Any]]) -> str:
    """Return the annotation's text: a JSON array, indented, as consoles show it."""
    return json.dumps(list(resources), indent=2, ensure_ascii=False)
