"""What docs/memcached.md tells people to type works: every command of every section, in its order."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.operator.certificates import Authority
from integration.operator.conftest import RESOURCE, Kubernetes
from kopf_sdk.testing.tools import binary
from waiting import eventually

DOCUMENT = Path(__file__).parents[3] / "docs" / "memcached.md"


def sections() -> Iterator[tuple[str, list[str]]]:
    """Return the commands of each section that has some: what is indented, or a manifest for `kubectl apply`."""
    for section in re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        found = re.findall(r"^    (kubectl .*)$|^```yaml\n((?:.*\n)*?)```$", text, flags=re.MULTILINE)
        commands = [command or f"kubectl apply -f - <<'END'\n{manifest}END" for command, manifest in found]
        if commands:
            yield title, commands


SECTIONS = dict(sections())


@pytest.mark.parametrize("title", SECTIONS)
def test_every_command_of_the_section_works(kubernetes: Kubernetes, tmp_path: Path, title: str) -> None:
    for name, content in Authority().issue("sessions").items():
        (tmp_path / name).write_text(content)
    kubernetes.apply("sessions")
    eventually(lambda: kubernetes.condition("sessions", "Available"))
    kubectl = f"{binary('kubectl')} --namespace {kubernetes.namespace}"
    environment = {"KUBECONFIG": str(kubernetes.cluster.kubeconfig), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for command in SECTIONS[title]:
        script = re.sub(r"^kubectl", kubectl, command).replace(" memcached ", f" {RESOURCE} ")
        run = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{command}: {run.stderr}"

    def seen() -> dict[str, Any] | None:
        resource = kubernetes.memcached("sessions")
        status = resource.get("status", {})
        return status if status.get("observedGeneration") == resource["metadata"]["generation"] else None

    assert eventually(seen)
    eventually(lambda: kubernetes.condition("sessions", "Degraded")["status"] == "False")


def test_most_sections_have_an_example() -> None:
    assert len(SECTIONS) > 10
