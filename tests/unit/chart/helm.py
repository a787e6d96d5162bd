"""The real Helm, both versions, on our chart."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kopf_sdk.testing.tools import binary

__all__ = ["CHART", "CI", "PROJECT", "VALUES", "objects", "refusal", "template"]

PROJECT = Path(__file__).parents[3]
CHART = PROJECT / "charts" / "memcached-operator"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
VALUES = {path.name.removesuffix("-values.yaml"): path for path in CI} | {
    path.stem: path for path in sorted((Path(__file__).parent / "values").glob("*.yaml"))
}
"""Files with values: those that chart-testing installs, and those that need what our cluster lacks."""
RELEASE = ("demo", "--namespace", "demo-operator-system", "--kube-version", "1.34.4")

Object = dict[str, Any]


@functools.cache
def template(*arguments: str | Path, helm: str = "helm") -> str:
    """Return what `helm template` prints for the chart with these further arguments."""
    return _run(helm, arguments).stdout


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is there twice, as Flux, kustomize and post-renderers do and Helm does not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key is there twice: {keys}"
        return super().construct_mapping(node, deep)


def objects(*arguments: str | Path) -> list[Object]:
    """Return the objects of the release, hooks included."""
    return [document for document in yaml.load_all(template(*arguments), StrictLoader) if document]


def refusal(*arguments: str | Path, helm: str = "helm", release: str = RELEASE[0]) -> str:
    """Return the message that Helm refuses these arguments with."""
    try:
        _run(helm, arguments, release)
    except AssertionError as error:
        return str(error)
    raise AssertionError(f"{helm} accepts {arguments}")


def _run(helm: str, arguments: Sequence[str | Path], release: str = RELEASE[0]) -> subprocess.CompletedProcess[str]:
    command = [binary(helm), "template", release, CHART, *RELEASE[1:], *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run
