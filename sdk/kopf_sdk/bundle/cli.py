"""The commands `kopf-sdk bundle …` and `kopf-sdk catalog …`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.listing import Listing

__all__ = ["bundle", "catalog"]

_PATH = click.Path(path_type=Path)
_EXISTING = click.Path(path_type=Path, exists=True)
_profile = click.option(
    "--profile",
    type=click.Choice(sorted(PROFILES)),
    default="olm-v0",
    show_default=True,
    help="Where the bundle is meant to be installed or published.",
)
_report = click.option(
    "--report",
    "--output-format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the report on standard output.",
)


def _chart_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that takes a chart."""
    options = [
        click.option("--values", "-f", "value_files", type=_PATH, multiple=True, help="Values file for Helm."),
        click.option("--set", "sets", multiple=True, metavar="K=V", help="Value for Helm."),
        click.option("--config", type=_EXISTING, help="bundle.yaml; found in or beside a chart directory by itself."),
        click.option("--chart-metadata", type=_EXISTING, help="Chart.yaml, for manifests on standard input."),
        click.option("--version", default="", help="Version of the bundle instead of the chart's."),
        click.option("--package", default="", help="Package instead of the chart's name."),
        click.option("--channels", default="", help="Channels, with commas between them."),
        click.option("--default-channel", default="", help="One of the channels; the first one unless given."),
        click.option("--kube-version", default="", help="Kubernetes version that Helm renders for.  [default: 1.31.0]"),
        click.option(
            "--api-versions",
            multiple=True,
            help="API that the chart shall find in the cluster, e.g. monitoring.coreos.com/v1.",
        ),
        click.option(
            "--namespace", default="", help="Namespace that the chart is, or the manifests were, rendered for."
        ),
        _profile,
        _report,
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def _request(chart: str, **given: Any) -> Any:
    from kopf_sdk.bundle.build import BuildRequest  # noqa: PLC0415  # pydantic and jinja are not needed for --help

    channels = [name.strip() for name in given.pop("channels").split(",") if name.strip()]
    return BuildRequest(chart=chart, channels=channels, profile=PROFILES[given.pop("profile")], **given)


def _show(report: Any, form: str, *, quiet: bool = False, every_difference: bool = False) -> None:
    if form == "json":
        click.echo(report.to_json())
    else:
        report.print(quiet=quiet, every_difference=every_difference)


@click.group(cls=Listing)
def bundle() -> None:
    """Turn a Helm chart into an OLM bundle; check, compare and package bundles."""


@bundle.command()
@click.argument("chart")
@_chart_options
@click.option(
    "--output",
    type=_PATH,
    default=Path("bundle"),
    show_default=True,
    help="Directory of the bundle; replaced as a whole.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if the directory is not what would be written.")
@click.option("--quiet", "-q", is_flag=True, help="Report only what needs attention.")
def build(chart: str, form: str, output: Path, check: bool, quiet: bool, **options: Any) -> int:
    """Make a bundle of CHART: a directory, a .tgz, oci://…, or - for rendered manifests on standard input."""
    from kopf_sdk.bundle.commands import build_bundle  # noqa: PLC0415

    report = build_bundle(_request(chart, **options), output, check=check)
    _show(report, form, quiet=quiet)
    return int(report.failed)


@bundle.command()
@click.argument("chart")
@_chart_options
def explain(chart: str, form: str, **options: Any) -> int:
    """Report what becomes of every object of CHART; write nothing."""
    from kopf_sdk.bundle.commands import explain_chart  # noqa: PLC0415

    report = explain_chart(_request(chart, **options))
    _show(report, form)
    return int(report.failed)


@bundle.command()
@click.argument("directory", type=_PATH)
@_profile
@_report
def validate(directory: Path, profile: str, form: str) -> int:
    """Check the bundle in DIRECTORY, offline, by the rules of the tools that will judge it."""
    from kopf_sdk.bundle.commands import validate_directory  # noqa: PLC0415

    report = validate_directory(directory, PROFILES[profile])
    _show(report, form)
    return int(report.failed)


@bundle.command()
@click.argument("chart")
@click.argument("directory", type=_PATH)
@_chart_options
def diff(chart: str, directory: Path, form: str, **options: Any) -> int:
    """Compare what OLM installs from the bundle in DIRECTORY with what Helm installs from CHART."""
    from kopf_sdk.bundle.commands import diff_bundle  # noqa: PLC0415

    report = diff_bundle(_request(chart, **options), directory)
    _show(report, form, every_difference=True)
    return int(report.failed)


@bundle.command()
@click.argument("chart")
@_chart_options
@click.option(
    "--output", type=_PATH, default=Path("bundle.yaml"), show_default=True, help="File to write; it must not exist."
)
def init(chart: str, output: Path, form: str, **options: Any) -> int:
    """Write a commented bundle.yaml for CHART with all that can be found out."""
    from kopf_sdk.bundle.extras import init_config  # noqa: PLC0415

    del form
    init_config(_request(chart, **options), output)
    click.echo(f"{output} written")
    return 0


@bundle.command()
@click.argument("directory", type=_PATH)
@click.option("--tag", default="", help="Reference of the image, e.g. quay.io/org/bundle:v1.0.0.")
@click.option(
    "--output", type=_PATH, required=True, help="OCI image layout: a .tar file, or a directory for any other name."
)
def image(directory: Path, tag: str, output: Path) -> int:
    """Make an OCI image of the bundle in DIRECTORY, without Docker."""
    from kopf_sdk.bundle.extras import make_image  # noqa: PLC0415

    click.echo(make_image(directory, tag, output))
    return 0


@bundle.group(cls=Listing)
def images() -> None:
    """Pin the operator's images to digests."""


def _lock_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option(
            "--lock",
            type=_PATH,
            help="Lock file.  [default: images.lock of bundle.yaml, else images.lock.yaml beside it]",
        ),
        click.option("--auth-file", type=_PATH, help="Credentials, as `docker login` or `podman login` writes them."),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@images.command()
@click.argument("chart")
@_chart_options
@_lock_options
def lock(chart: str, form: str, lock: Path | None, auth_file: Path | None, **options: Any) -> int:
    """Ask the registries for the digests of CHART's images and write them to the lock file."""
    from kopf_sdk.bundle.extras import lock_images  # noqa: PLC0415

    report = lock_images(_request(chart, **options), lock, auth_file)
    _show(report, form)
    return int(report.failed)


@images.command()
@click.argument("chart")
@_chart_options
@_lock_options
@click.option("--online", is_flag=True, help="Ask the registries too whether the tags still have these digests.")
def verify(chart: str, form: str, lock: Path | None, auth_file: Path | None, online: bool, **options: Any) -> int:
    """Check that the lock file covers CHART's images; needs no network without --online."""
    from kopf_sdk.bundle.extras import verify_images  # noqa: PLC0415

    report = verify_images(_request(chart, **options), lock, auth_file if online else None, online=online)
    _show(report, form)
    return int(report.failed)


@click.group(cls=Listing)
def catalog() -> None:
    """Make, check and draw file-based catalogs."""


def _catalog_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the commands that put bundles into a catalog."""
    options = [
        click.option(
            "--image",
            required=True,
            help="Reference of the bundle images; {package}, {name} and {version} are filled in.",
        ),
        click.option(
            "--level",
            type=click.Choice(["csv-metadata", "bundle-object"]),
            default="csv-metadata",
            show_default=True,
            help="How the catalog carries the CSV: bundle-object for OpenShift up to 4.16.",
        ),
        click.option(
            "--channels", default="", help="Channels to enter, with commas between them, instead of the bundle's."
        ),
        click.option("--default-channel", default="", help="Default channel of the package."),
        _report,
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def _catalog_request(image: str, level: Any, channels: str, default_channel: str) -> Any:
    from kopf_sdk.bundle.catalog.build import CatalogOptions  # noqa: PLC0415

    names = [name.strip() for name in channels.split(",") if name.strip()]
    return CatalogOptions(image, level, names, default_channel)


@catalog.command("build")
@click.argument("bundles", type=_PATH, nargs=-1)
@click.option("--template", type=_EXISTING, help="Template (olm.semver or olm.template.basic) instead of bundles.")
@click.option(
    "--output",
    type=_PATH,
    default=Path("catalog"),
    show_default=True,
    help="Directory of the catalog; replaced as a whole.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if the directory is not what would be written.")
@_catalog_options
def catalog_build(
    bundles: tuple[Path, ...], template: Path | None, output: Path, check: bool, form: str, **options: Any
) -> int:
    """Make a catalog of the bundle directories BUNDLES, or of a template."""
    from kopf_sdk.bundle.catalog.commands import build_catalog  # noqa: PLC0415

    if bool(bundles) == bool(template):
        raise click.UsageError("give either bundle directories or --template")
    report = build_catalog(list(bundles), template, _catalog_request(**options), output, check=check)
    _show(report, form)
    return int(report.failed)


@catalog.command()
@click.argument("directory", type=_PATH)
@click.argument("bundles", type=_PATH, nargs=-1, required=True)
@_catalog_options
def add(directory: Path, bundles: tuple[Path, ...], form: str, **options: Any) -> int:
    """Add the bundle directories BUNDLES to the catalog in DIRECTORY, which is made if it is not there."""
    from kopf_sdk.bundle.catalog.commands import add_to_catalog  # noqa: PLC0415

    report = add_to_catalog(directory, list(bundles), _catalog_request(**options))
    _show(report, form)
    return int(report.failed)


@catalog.command("validate")
@click.argument("directory", type=_PATH)
@_report
def catalog_validate(directory: Path, form: str) -> int:
    """Check the catalog in DIRECTORY as opm does, and for what it does not see."""
    from kopf_sdk.bundle.catalog.commands import validate_catalog  # noqa: PLC0415

    report = validate_catalog(directory)
    _show(report, form)
    return int(report.failed)


@catalog.command()
@click.argument("directory", type=_PATH)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "mermaid", "svg"]),
    default="text",
    show_default=True,
    help="How it is written.",
)
@click.option("--output", type=_PATH, help="File to write; standard output unless given.")
def graph(directory: Path, style: str, output: Path | None) -> int:
    """Print or draw the upgrade graph of the catalog in DIRECTORY."""
    from kopf_sdk.bundle.catalog.commands import draw_catalog  # noqa: PLC0415

    text = draw_catalog(directory, style, output)
    if output is None:
        click.echo(text, nl=False)
    return 0


@catalog.command("deprecate")
@click.argument("directory", type=_PATH)
@click.argument("package")
@click.argument("what")
@click.option("--message", required=True, help="What users should do instead.")
def catalog_deprecate(directory: Path, package: str, what: str, message: str) -> int:
    """Deprecate WHAT in PACKAGE: package, channel:NAME or bundle:NAME."""
    from kopf_sdk.bundle.catalog.commands import deprecate_in_catalog  # noqa: PLC0415

    report = deprecate_in_catalog(directory, package, what, message)
    _show(report, "text")
    return int(report.failed)
