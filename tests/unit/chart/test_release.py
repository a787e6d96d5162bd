"""What is published: a package of the same bytes everywhere, signed if asked for, and told to Artifact Hub."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from kopf_sdk.testing.tools import binary
from unit.chart.helm import CHART, PROJECT

RELEASE = PROJECT / "charts" / "release.py"
METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())


def release(*arguments: str | Path, script: Path = RELEASE, environment: dict[str, str] | None = None) -> str:
    run = subprocess.run(
        [sys.executable, script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | (environment or {}),
    )
    return run.stdout.strip()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_annotations_are_up_to_date() -> None:
    assert "up to date" in release("annotate", "--check")


def test_annotations_are_what_artifact_hub_reads() -> None:
    """The fields of artifacthub.io/docs/topics/annotations/helm that matter for an operator."""
    found = {name.removeprefix("artifacthub.io/"): text for name, text in METADATA["annotations"].items()}
    assert found["operator"] == "true"
    assert found["operatorCapabilities"] in (
        "Basic Install",
        "Seamless Upgrades",
        "Full Lifecycle",
        "Deep Insights",
        "Auto Pilot",
    )
    assert {change["kind"] for change in yaml.safe_load(found["changes"])} <= {
        "added",
        "changed",
        "deprecated",
        "removed",
        "fixed",
        "security",
    }
    (crd,) = yaml.safe_load(found["crds"])
    assert crd.keys() == {"kind", "version", "name", "displayName", "description"}
    assert {example["kind"] for example in yaml.safe_load(found["crdsExamples"])} == {"Memcached"}
    for image in yaml.safe_load(found["images"]):
        assert image.keys() == {"name", "image"}


def test_the_package_is_the_same_bytes_wherever_and_whenever_it_is_made(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    subprocess.run(["mkdir", "-p", elsewhere / "charts"], check=True)
    for name in ("charts/memcached-operator", "charts/release.py"):
        subprocess.run(["cp", "-r", PROJECT / name, elsewhere / name], check=True)
    for path in (elsewhere / "charts").rglob("*.yaml"):
        path.chmod(0o600)
    epoch = {"SOURCE_DATE_EPOCH": "1800000000"}
    here = Path(release("package", "--output", tmp_path / "a", environment=epoch))
    script = elsewhere / "charts" / "release.py"
    there = Path(
        release("package", "--output", tmp_path / "b", script=script, environment={**epoch, "TZ": "Asia/Tokyo"})
    )
    assert digest(here) == digest(there)
    with tarfile.open(here) as archive:
        assert {entry.mtime for entry in archive} == {1800000000}
        assert "memcached-operator/ci/ha-values.yaml" not in archive.getnames()


@pytest.mark.parametrize("helm", ["helm", "helm4"])
def test_a_signed_package_is_verified_and_a_changed_one_refused(helm: str, tmp_path: Path) -> None:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg: list[str | Path] = [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--quiet",
        "--passphrase",
        "",
        "--pinentry-mode",
        "loopback",
    ]
    name = "Chart Test <chart@example.com>"
    subprocess.run([*gpg, "--quick-generate-key", name, "rsa3072", "sign", "never"], check=True)
    keys = {}
    for kind, option in (("secret", "--export-secret-keys"), ("public", "--export")):
        keys[kind] = tmp_path / f"{kind}.gpg"
        keys[kind].write_bytes(subprocess.run([*gpg, option], check=True, capture_output=True).stdout)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)

    package = Path(release("package", "--output", tmp_path, "--key", "Chart Test", "--keyring", keys["secret"]))
    provenance = package.with_suffix(".tgz.prov").read_text()
    assert f"memcached-operator-{METADATA['version']}.tgz: sha256:{digest(package)}" in provenance

    verify: list[str | Path] = [binary(helm), "verify", "--keyring", keys["public"], package]
    assert subprocess.run(verify, check=False).returncode == 0
    package.write_bytes(package.read_bytes() + b"x")
    changed = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert changed.returncode != 0
    assert "sha256 sum does not match" in changed.stderr
