"""What the commands for catalogs do, apart from options and printing."""

from __future__ import annotations

from pathlib import Path

from kopf_sdk.bundle.catalog.build import CatalogOptions, add_bundles, catalog_from_template, deprecate
from kopf_sdk.bundle.catalog.check import check_catalog
from kopf_sdk.bundle.catalog.draw import graph_mermaid, graph_svg, graph_text
from kopf_sdk.bundle.catalog.model import Catalog, catalog_files, load_catalog
from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.output import differences, replace_directory, replace_file
from kopf_sdk.bundle.report import Report

__all__ = ["add_to_catalog", "build_catalog", "deprecate_in_catalog", "draw_catalog", "validate_catalog"]


def build_catalog(
    bundles: list[Path], template: Path | None, options: CatalogOptions, output: Path, *, check: bool
) -> Report:
    """Make a catalog from bundles or a template; write it unless something is wrong with it."""
    if template is not None:
        catalog, findings = catalog_from_template(template, options), []
    else:
        catalog = Catalog()
        findings = add_bundles(catalog, bundles, options)
    return _catalog_report(catalog, findings, output, check=check)


def add_to_catalog(directory: Path, bundles: list[Path], options: CatalogOptions) -> Report:
    """Add bundles to a catalog; write it unless something is wrong with it."""
    catalog = load_catalog(directory) if directory.exists() else Catalog()
    findings = add_bundles(catalog, bundles, options)
    return _catalog_report(catalog, findings, directory, check=False)


def deprecate_in_catalog(directory: Path, package: str, what: str, message: str) -> Report:
    """Mark something in a catalog as deprecated."""
    catalog = load_catalog(directory)
    deprecate(catalog, package, what, message)
    return _catalog_report(catalog, [], directory, check=False)


def validate_catalog(directory: Path) -> Report:
    """Return the findings on a catalog."""
    return Report(str(directory), findings=check_catalog(load_catalog(directory)))


def draw_catalog(directory: Path, style: str, output: Path | None) -> str:
    """Return the drawing of a catalog's graph; write it to `output` if that is given."""
    drawers = {"text": graph_text, "mermaid": graph_mermaid, "svg": graph_svg}
    text = drawers[style](load_catalog(directory))
    if output is not None:
        replace_file(output, text)
    return text


def _catalog_report(catalog: Catalog, findings: list[Finding], output: Path, *, check: bool) -> Report:
    report = Report(str(output), findings=[*findings, *check_catalog(catalog)])
    files = catalog_files(catalog)
    if check:
        drift = [f"{output}/{line}" for line in differences(output, files)]
        report.notices = [
            Notice(Level.ERROR, "check", line, None, "Build the catalog again and commit it.") for line in drift
        ]
    elif not report.failed:
        replace_directory(output, files)
        report.summary["written"] = str(output)
    return report
