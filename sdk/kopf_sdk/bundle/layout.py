"""The files of a bundle directory beside the CSV and the manifests.

annotations.yaml and the labels of bundle.Dockerfile say the same (operator-registry `docs/design/operator-bundle.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.config import Config
from kopf_sdk.bundle.metadata import Metadata

__all__ = ["bundle_annotations", "dockerfile", "metadata_files", "scorecard_config"]

_PREFIX = "operators.operatorframework.io"
_TESTS = (
    ("basic", "basic-check-spec"),
    ("olm", "olm-bundle-validation"),
    ("olm", "olm-crds-have-validation"),
    ("olm", "olm-crds-have-resources"),
    ("olm", "olm-spec-descriptors"),
    ("olm", "olm-status-descriptors"),
)


def bundle_annotations(metadata: Metadata, config: Config, builder: str) -> dict[str, str]:
    """Return the annotations of the bundle: the core ones first, those of bundle.yaml kept after them."""
    annotations = {
        f"{_PREFIX}.bundle.mediatype.v1": "registry+v1",
        f"{_PREFIX}.bundle.manifests.v1": "manifests/",
        f"{_PREFIX}.bundle.metadata.v1": "metadata/",
        f"{_PREFIX}.bundle.package.v1": metadata.package,
        f"{_PREFIX}.bundle.channels.v1": ",".join(metadata.channels),
        f"{_PREFIX}.bundle.channel.default.v1": metadata.default_channel,
        f"{_PREFIX}.metrics.builder": builder,
        f"{_PREFIX}.metrics.mediatype.v1": "metrics+v1",
        f"{_PREFIX}.metrics.project_layout": "helm",
        f"{_PREFIX}.test.mediatype.v1": "scorecard+v1",
        f"{_PREFIX}.test.config.v1": "tests/scorecard/",
    }
    return {**annotations, **config.bundle_annotations}


def metadata_files(annotations: Mapping[str, str], config: Config) -> dict[str, str]:
    """Return the files of metadata/.

    Annotations.yaml, and dependencies.yaml and properties.yaml where there are any.
    """
    files = {"metadata/annotations.yaml": yaml.dump({"annotations": dict(annotations)})}
    if config.dependencies:
        files["metadata/dependencies.yaml"] = yaml.dump({"dependencies": config.dependencies})
    if config.properties:
        files["metadata/properties.yaml"] = yaml.dump({"properties": config.properties})
    return files


def scorecard_config(config: Config) -> str:
    """Return tests/scorecard/config.yaml: the user's, or the six standard tests."""
    if config.scorecard.config is not None:
        return yaml.dump(yaml.load_file(config.path(config.scorecard.config)))
    tests: list[dict[str, Any]] = [
        {
            "entrypoint": ["scorecard-test", test],
            "image": config.scorecard.image,
            "labels": {"suite": suite, "test": f"{test}-test"},
            "storage": {"spec": {"mountPath": {}}},
        }
        for suite, test in _TESTS
    ]
    return yaml.dump(
        {
            "apiVersion": "scorecard.operatorframework.io/v1alpha3",
            "kind": "Configuration",
            "metadata": {"name": "config"},
            "stages": [{"parallel": True, "tests": tests}],
            "storage": {"spec": {"mountPath": {}}},
        }
    )


def dockerfile(annotations: Mapping[str, str], directory: str) -> str:
    """Return bundle.Dockerfile, to be built in the directory that holds the bundle directory `directory`."""
    labels = "\n".join(f"LABEL {key}={_quoted(value)}" for key, value in annotations.items())
    copies = "\n".join(
        f"COPY {directory}/{part} /{target}"
        for part, target in (
            ("manifests", "manifests/"),
            ("metadata", "metadata/"),
            ("tests/scorecard", "tests/scorecard/"),
        )
    )
    return f"FROM scratch\n\n# The same as in {directory}/metadata/annotations.yaml.\n{labels}\n\n{copies}\n"


def _quoted(value: str) -> str:
    if value and all(character.isalnum() or character in "+-._/,:=<>" for character in value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
