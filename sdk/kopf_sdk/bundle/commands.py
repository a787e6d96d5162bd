"""What the commands that build, check and compare bundles do, apart from options and printing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kopf_sdk.bundle.build import BuildRequest, build
from kopf_sdk.bundle.bundle_dir import bundle_from_files, load_bundle
from kopf_sdk.bundle.convert import Conversion
from kopf_sdk.bundle.diff import compare_bundle
from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.layout import dockerfile
from kopf_sdk.bundle.output import differences, replace_directory, replace_file
from kopf_sdk.bundle.profile import Profile
from kopf_sdk.bundle.report import Report
from kopf_sdk.bundle.validate import validate

__all__ = ["build_bundle", "diff_bundle", "explain_chart", "validate_directory"]


def build_bundle(request: BuildRequest, output: Path, *, check: bool) -> Report:
    """Build a bundle, validate it, compare it with the rendering, and write it unless something is wrong."""
    conversion = build(request)
    report = _report(conversion)
    docker = dockerfile(conversion.annotations, output.name)
    if check:
        report.notices = [*report.notices, *_drift(output, conversion.files, docker)]
    elif not report.failed:
        replace_directory(output, conversion.files)
        replace_file(_dockerfile_path(output), docker)
        report.summary["written"] = str(output)
    return report


def explain_chart(request: BuildRequest) -> Report:
    """Return the report of a build that writes nothing."""
    return _report(build(request))


def validate_directory(directory: Path, profile: Profile) -> Report:
    """Return the findings on a bundle directory."""
    bundle = load_bundle(directory)
    findings = validate(bundle, profile)
    return Report(bundle.name or str(directory), findings=findings, summary={"profile": profile.name})


def diff_bundle(request: BuildRequest, directory: Path) -> Report:
    """Compare a bundle directory with the rendering of a chart."""
    conversion = build(request)
    bundle = load_bundle(directory)
    return Report(bundle.name or str(directory), differences=compare_bundle(conversion, bundle))


def _report(conversion: Conversion) -> Report:
    report = Report(conversion.metadata.csv_name, conversion.fates, conversion.notices)
    if not report.failed:
        files = {path: text.encode() for path, text in conversion.files.items()}
        bundle = bundle_from_files("", files)
        report.findings = validate(bundle, conversion.profile)
        report.differences = compare_bundle(conversion, bundle)
    return report


def _dockerfile_path(output: Path) -> Path:
    return output.parent / f"{output.name}.Dockerfile"


def _drift(output: Path, files: Mapping[str, str], docker: str) -> list[Notice]:
    found = [f"{output}/{line}" for line in differences(output, files)]
    path = _dockerfile_path(output)
    if not path.is_file() or path.read_text(encoding="utf-8") != docker:
        found.append(f"{path}: {'differs' if path.is_file() else 'missing'}")
    return [Notice(Level.ERROR, "check", line, None, "Build the bundle again and commit it.") for line in found]
