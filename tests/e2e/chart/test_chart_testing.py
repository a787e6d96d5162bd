"""chart-testing: lint, the check for a higher version, and an installation per values file with its `helm test`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import audit
from e2e.chart.conftest import CHART, PROJECT
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.tools import binary

CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))


def ct(*arguments: str, folder: Path = PROJECT, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [binary("ct"), arguments[0], "--config", "ct.yaml", *arguments[1:]]
    return subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )


@pytest.mark.node
@pytest.mark.parametrize("case", CASES)
def test_the_chart_installs_and_its_test_puts_and_gets_a_key(
    case: str,
    chart_cluster: Cluster,
    environment: dict[str, str],
    image_values: list[str],
    tmp_path: Path,
) -> None:
    folder = only(case, tmp_path)
    begin = audit.position(chart_cluster.audit_log)
    # The next case installs the CRD anew, under another release's name.
    values = " ".join(f"--set={value}" for value in [*image_values, "crds.keep=false"])
    run = ct(
        "install",
        "--all",
        "--helm-extra-set-args",
        values,
        folder=folder,
        environment=environment,
    )
    assert run.returncode == 0, run.stdout
    assert "Phase:          Succeeded" in run.stdout
    assert list(refused(chart_cluster, begin)) == []


def only(case: str, folder: Path) -> Path:
    """A copy of the project with one values file: a failure names its case."""
    command = ["cp", "-r", "--parents", "charts/memcached-operator", "charts/ct", "ct.yaml", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    for path in (folder / "charts" / "memcached-operator" / "ci").glob("*.yaml"):
        if path.name != f"{case}-values.yaml":
            path.unlink()
    return folder


def refused(cluster: Cluster, begin: int) -> Iterator[tuple[str, ...]]:
    """Requests of the operator that the API server forbade since a position in the audit log, until it was uninstalled.

    Helm takes the roles away while the pod still finishes; what it is refused then is no missing right. A request is
    in the log when it was answered, so the time of its arrival counts.
    """
    events = list(audit.events(cluster.audit_log, begin))
    bindings = ("rolebindings", "clusterrolebindings")
    taken = min(
        event["requestReceivedTimestamp"]
        for event in events
        if event["verb"] == "delete" and event.get("objectRef", {}).get("resource") in bindings
    )
    for event in events:
        status, user = event.get("responseStatus", {}), event["user"]["username"]
        if (
            status.get("code") == 403
            and user.startswith("system:serviceaccount:memcached-operator-")
            and event["requestReceivedTimestamp"] < taken
        ):
            yield user, event["verb"], event["requestURI"], status.get("message", "")


def test_lint_finds_nothing(tool_environment: dict[str, str]) -> None:
    run = ct("lint", "--all", environment=tool_environment)
    assert run.returncode == 0, run.stdout
    assert "Validation success" in run.stdout


def test_a_changed_chart_needs_a_higher_version(tool_environment: dict[str, str], tmp_path: Path) -> None:
    def git(*arguments: str, folder: Path) -> None:
        identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    upstream = tmp_path / "upstream"
    upstream.mkdir()
    only("default", upstream)
    git("checkout", "-q", "-b", "main", folder=upstream)
    git("add", ".", folder=upstream)
    git("commit", "-q", "-m", "Release", folder=upstream)
    clone = tmp_path / "clone"
    git("clone", "-q", str(upstream), str(clone), folder=tmp_path)
    chart = clone / "charts" / "memcached-operator"
    values = chart / "values.yaml"
    values.write_text(values.read_text().replace("replicas: 1", "replicas: 3"))
    git("commit", "-q", "-a", "-m", "Run three", folder=clone)

    run = ct("lint", folder=clone, environment=tool_environment)
    assert run.returncode != 0
    assert "Needs a version bump!" in run.stdout

    metadata = chart / "Chart.yaml"
    metadata.write_text(metadata.read_text().replace("\nversion: ", "\nversion: 9"))
    git("commit", "-q", "-a", "-m", "Say so", folder=clone)
    run = ct("lint", folder=clone, environment=tool_environment)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        ("Chart.yaml", "maintainer: nobody", "maintainer"),
        ("values.yaml", "replicas: 2", 'duplication of key "replicas"'),
        ("ci/default-values.yaml", "replica: 2", "additional properties 'replica' not allowed"),
    ],
)
def test_lint_finds_what_is_wrong(
    name: str, line: str, problem: str, tool_environment: dict[str, str], tmp_path: Path
) -> None:
    path = only("default", tmp_path) / "charts" / "memcached-operator" / name
    path.write_text(path.read_text().removesuffix("{}\n") + line + "\n")
    run = ct("lint", "--all", folder=tmp_path, environment=tool_environment)
    assert run.returncode != 0
    assert problem in run.stdout
