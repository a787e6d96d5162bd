"""What a release of the chart needs: annotations for Artifact Hub, and a package that is the same wherever it is made.

python charts/release.py annotate [--check]
python charts/release.py package [--output DIR] [--key NAME --keyring FILE]
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from kopf_sdk.errors import SdkError
from kopf_sdk.generate import crd_manifests
from kopf_sdk.generate.config import load_project
from kopf_sdk.testing.tools import binary

PROJECT = Path(__file__).resolve().parents[1]
CHART = PROJECT / "charts" / "memcached-operator"
METADATA = CHART / "Chart.yaml"
BEGIN = "  # From here on: `make chart-docs`, from CHANGELOG.md, values.yaml, the samples and the Python types.\n"
KINDS = {
    "Added": "added",
    "Changed": "changed",
    "Deprecated": "deprecated",
    "Removed": "removed",
    "Fixed": "fixed",
    "Security": "security",
}
"""Headings of Keep a Changelog, and what Artifact Hub calls them."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def release() -> None:
    """Prepare a release of the chart."""


@release.command()
@click.option("--check", is_flag=True, help="Change nothing; fail with the difference if Chart.yaml is out of date.")
def annotate(check: bool) -> None:
    """Fill Artifact Hub's annotations in Chart.yaml from the project."""
    before = METADATA.read_text()
    after = annotated(before, artifact_hub())
    if check and before != after:
        diff = difflib.unified_diff(before.splitlines(True), after.splitlines(True), "Chart.yaml", "as generated")
        raise click.ClickException(f"{METADATA} is out of date: run `make chart-docs`\n{''.join(diff)}")
    if before != after:
        METADATA.write_text(after)
    click.echo(f"{METADATA.relative_to(PROJECT)}: {'up to date' if before == after else 'written'}")


@release.command()
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default="dist", show_default=True)
@click.option("--key", help="Sign: the key's name.")
@click.option("--keyring", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Sign: secret keys.")
def package(output: Path, key: str | None, keyring: Path | None) -> None:
    """Pack the chart, byte for byte the same for the same commit; with a key, also a provenance file.

    Every file gets the time of SOURCE_DATE_EPOCH, by default of the last commit that changed the chart.
    """
    if (key is None) != (keyring is None):
        raise click.UsageError("--key and --keyring belong together")
    # Helm 4 packs files with their own times, Helm 3 with the time of day.
    command: list[str | Path] = [binary("helm4"), "package", "--destination", output]
    if key is not None and keyring is not None:
        command += ["--sign", "--key", key, "--keyring", keyring]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / CHART.name
        shutil.copytree(CHART, copy)
        epoch = source_date()
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (epoch, epoch))
        output.mkdir(parents=True, exist_ok=True)
        run = subprocess.run([*command, copy], capture_output=True, text=True, check=False)
    if run.returncode:
        raise click.ClickException(run.stderr.strip())
    click.echo(output / f"{CHART.name}-{yaml.safe_load(METADATA.read_text())['version']}.tgz")


def source_date() -> int:
    """Return the time for all files, in seconds since 1970."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        if not given.isdecimal():
            raise click.ClickException(f"SOURCE_DATE_EPOCH={given} is no number of seconds since 1970")
        return int(given)
    command = ["git", "-C", str(PROJECT), "log", "-1", "--format=%ct", "--", str(CHART)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if not run.stdout.strip():
        raise click.ClickException("no commit tells the time of the chart: set SOURCE_DATE_EPOCH")
    return int(run.stdout)


def annotated(metadata: str, generated: dict[str, str]) -> str:
    """Replace the generated annotations, which end Chart.yaml; what stands before them is written by hand."""
    by_hand = metadata.partition(BEGIN)[0]
    lines: list[str] = []
    for name, text in sorted(generated.items()):
        lines.append(f"  artifacthub.io/{name}: |\n")
        lines += [f"    {line}\n" if line else "\n" for line in text.rstrip("\n").split("\n")]
    return by_hand + BEGIN + "".join(lines)


def artifact_hub() -> dict[str, str]:
    """Return what Artifact Hub shows of the project, as YAML per annotation."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    metadata = yaml.safe_load(METADATA.read_text())
    home = metadata["home"]
    resources = load_project(PROJECT).resources()
    parts: dict[str, list[Any]] = {
        "changes": list(changes((PROJECT / "CHANGELOG.md").read_text())),
        "crds": [
            {
                "kind": crd["spec"]["names"]["kind"],
                "version": served["name"],
                "name": crd["metadata"]["name"],
                "displayName": crd["spec"]["names"]["kind"],
                "description": served["schema"]["openAPIV3Schema"]["description"],
            }
            for crd in crd_manifests(resources)
            for served in crd["spec"]["versions"]
        ],
        "crdsExamples": [
            document
            for path in sorted((PROJECT / "config" / "samples").glob("*.yaml"))
            for document in yaml.safe_load_all(path.read_text())
            if document
        ],
        "images": [
            {"name": "memcached-operator", "image": reference(values["image"], metadata["appVersion"])},
            {"name": "memcached", "image": reference(values["operand"]["memcached"]["image"], "")},
        ],
        "links": [
            {"name": "Documentation of the chart", "url": f"{home}/blob/main/docs/chart.md"},
            {"name": "Runbooks", "url": f"{home}/tree/main/docs/runbooks"},
            {"name": "Support", "url": f"{home}/issues"},
        ],
    }
    return {name: yaml.safe_dump(part, sort_keys=False, width=110, allow_unicode=True) for name, part in parts.items()}


def reference(image: dict[str, str], tag: str) -> str:
    """Return the name of an image as the chart renders it."""
    version = f"@{image['digest']}" if image["digest"] else f":{image['tag'] or tag}"
    return f"{image['registry']}/{image['repository']}{version}"


def changes(changelog: str) -> Iterator[dict[str, str]]:
    """Yield the entries of the newest version (Keep a Changelog)."""
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    if len(sections) < 2:
        raise SdkError("CHANGELOG.md has no section `## [version]`")
    for part in re.split(r"^### ", sections[1], flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        if heading.strip() not in KINDS:
            raise SdkError(f"CHANGELOG.md: ### {heading.strip()} is none of {', '.join(KINDS)}")
        for entry in re.split(r"^- ", body, flags=re.MULTILINE)[1:]:
            yield {"kind": KINDS[heading.strip()], "description": " ".join(entry.split())}


if __name__ == "__main__":
    try:
        release()
    except SdkError as error:
        sys.exit(f"error: {error.message}")
