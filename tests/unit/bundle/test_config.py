"""bundle.yaml: mistakes are named with their place and a suggestion."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from kopf_sdk.bundle.build import BuildRequest, find_config
from kopf_sdk.bundle.config import load_config
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.errors import SdkError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bundle.yaml"
    path.write_text(text)
    return path


def test_nothing_is_needed(tmp_path: Path) -> None:
    assert load_config(None).package is None
    assert asdict(load_config(write(tmp_path, ""))) == {**asdict(load_config(None)), "base": tmp_path}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("chanels: [a]\n", "chanels: unknown key", "'channels'"),
        ("maintainers: [{name: a, emial: b}]\n", r"maintainers\[0\]\.emial: unknown key", "'email'"),
        ("crds: {a.b: {specDescriptor: []}}\n", r"crds\.a\.b\.specDescriptor: unknown key", "'specDescriptors'"),
        ("zzz: 1\n", "zzz: unknown key", "Known keys"),
        ("capabilities: Superb\n", "capabilities:", "docs"),
        ("watchNamespace: {env: A, argument: --b}\n", "exactly one of env, argument and value", "docs"),
        ("features: {proxy_aware: true}\n", "features.proxy_aware: Input should be .*'proxy-aware'", "docs"),
        ("drop: [{kind: Job, name: a}]\n", r"drop\[0\]\.reason: Field required", "docs"),
        ("- a\n", "a mapping is expected", ""),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(SdkError, match=message) as caught:
        load_config(write(tmp_path, text))

    assert hint in (caught.value.hint or "")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "icon: logo.svg\n"))

    assert config.path("logo.svg") == tmp_path / "logo.svg"


def test_manifests_called_bundle_yaml_are_no_configuration(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    chart.mkdir()
    request = BuildRequest(str(chart), PROFILES["olm-v0"])
    beside = tmp_path / "bundle.yaml"

    beside.write_text("package: x\n")
    assert find_config(request) == beside
    beside.write_text("# all in one\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n")
    assert find_config(request) is None
