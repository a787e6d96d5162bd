"""The user's own cluster is only touched after somebody agreed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import current
from kopf_sdk.testing.cluster.current import CurrentCluster, target_cluster

_VIEW: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "production",
    "contexts": [{"name": "production", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://prod.example.com"}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}


@pytest.fixture(autouse=True)
def context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KOPF_SDK_STATE", str(tmp_path / "clusters"))
    monkeypatch.setattr(current, "_view", lambda: _VIEW)
    monkeypatch.setattr(CurrentCluster, "check", lambda self: None)


def test_without_a_terminal_it_is_refused_and_named() -> None:
    with pytest.raises(SdkError, match=r"'production' \(https://prod\.example\.com\)") as caught:
        target_cluster("current")
    assert caught.value.hint is not None
    assert "--yes" in caught.value.hint


def test_on_a_terminal_the_question_names_it() -> None:
    questions: list[str] = []

    def agree(question: str) -> bool:
        questions.append(question)
        return True

    assert target_cluster("current", ask=agree).context == "production"
    assert questions == ["Use the cluster of context 'production' (https://prod.example.com)?"]


def test_a_no_is_a_no() -> None:
    with pytest.raises(SdkError, match="not confirmed"):
        target_cluster("current", ask=lambda question: False)


def test_yes_needs_no_question() -> None:
    assert target_cluster("current", assume_yes=True).context == "production"


def test_its_kubeconfig_is_pinned_and_private() -> None:
    path = CurrentCluster().kubeconfig
    assert json.loads(path.read_text()) == _VIEW
    assert path.stat().st_mode & 0o077 == 0


def test_down_forgets_the_pinned_kubeconfig_and_no_more() -> None:
    path = CurrentCluster().kubeconfig
    CurrentCluster().forget()
    assert not path.exists()
    CurrentCluster().forget()


def test_images_cannot_be_loaded_into_it() -> None:
    with pytest.raises(SdkError, match="cannot be loaded") as caught:
        CurrentCluster().load_images([Path("x.tar")])
    assert caught.value.hint is not None
    assert "registry" in caught.value.hint
