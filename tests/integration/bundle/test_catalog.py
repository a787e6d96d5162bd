"""Catalogs: blobs equal opm's, verdicts agree with `opm validate`, templates link as opm links them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integration.bundle.tools import GOLDEN_BUNDLES, golden, run
from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.bundle_dir import load_bundle
from kopf_sdk.bundle.catalog.build import CatalogOptions, add_bundles
from kopf_sdk.bundle.catalog.check import check_catalog
from kopf_sdk.bundle.catalog.model import Blob, Catalog, catalog_files, load_catalog
from kopf_sdk.bundle.catalog.render import render_bundle
from kopf_sdk.bundle.fate import Level

IMAGE = "example.com/{package}-bundle:v{version}"


@pytest.mark.parametrize("name", GOLDEN_BUNDLES)
@pytest.mark.parametrize(
    ("level", "migrate"), [("bundle-object", "none"), ("csv-metadata", "bundle-object-to-csv-metadata")]
)
def test_renders_a_bundle_as_opm_does(name: str, level: Any, migrate: str) -> None:
    directory = golden(name) / "bundle"
    done = run(
        "opm",
        "render",
        str(directory),
        "--alpha-image-ref-template",
        "example.com/x:v{{.Version}}",
        "--migrate-level",
        migrate,
        "-o",
        "json",
    )
    assert done.returncode == 0, done.stderr
    theirs = normal(json.loads(done.stdout))

    ours = normal(render_bundle(load_bundle(directory), theirs["image"], level))

    assert ours == theirs


def normal(blob: Blob) -> Blob:
    """Order lists, decode objects, drop the empty fields that Go writes and that mean nothing."""
    properties = []
    for item in blob["properties"]:
        value = item["value"]
        if item["type"] == "olm.bundle.object":
            import base64  # noqa: PLC0415

            value = json.loads(base64.b64decode(value["data"]))
        properties.append({"type": item["type"], "value": value})
    images = sorted((image.get("name", ""), image["image"]) for image in blob["relatedImages"])
    text = [json.dumps(without_empty(p), sort_keys=True) for p in properties]
    return {**blob, "properties": sorted(text), "relatedImages": images}


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        cleaned = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in cleaned.items() if inner not in (None, "", [], {})}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def versions(tmp_path: Path) -> list[Path]:
    """Four versions of a bundle, as directories."""
    return [make_version(tmp_path, version) for version in ("1.0.0", "1.0.1", "1.1.0", "2.0.0")]


def make_version(parent: Path, version: str, **spec: Any) -> Path:
    directory = parent / f"v{version}"
    shutil.copytree(golden("kube-green") / "bundle", directory)
    path = directory / "manifests" / "kube-green.clusterserviceversion.yaml"
    csv = yaml.load_file(path)
    csv["metadata"]["name"] = f"kube-green.v{version}"
    csv["spec"].pop("replaces", None)
    csv["spec"] |= {"version": version, **spec}
    path.write_text(yaml.dump(csv))
    return directory


def write(catalog: Catalog, directory: Path) -> Path:
    for name, text in catalog_files(catalog).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def test_opm_accepts_a_built_catalog(versions: list[Path], tmp_path: Path) -> None:
    catalog = Catalog()
    findings = add_bundles(catalog, versions, CatalogOptions(IMAGE))

    directory = write(catalog, tmp_path / "catalog")

    assert findings == []
    assert check_catalog(load_catalog(directory)) == []
    done = run("opm", "validate", str(directory))
    assert (done.returncode, done.stdout, warnings(done.stderr)) == (0, "", [])
    entries = catalog.channels[0]["entries"]
    assert [entry.get("replaces") for entry in entries] == [
        None,
        "kube-green.v1.0.0",
        "kube-green.v1.0.1",
        "kube-green.v1.1.0",
    ]


def warnings(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(r"level=(?:warn|error|fatal)", line)]


Mutation = Callable[[Catalog], None]


def two_heads(catalog: Catalog) -> None:
    del catalog.channels[0]["entries"][1]["replaces"]


def cycle(catalog: Catalog) -> None:
    catalog.channels[0]["entries"][0]["replaces"] = "kube-green.v1.1.0"


def no_head(catalog: Catalog) -> None:
    catalog.channels[0]["entries"][0]["replaces"] = "kube-green.v2.0.0"


def stranded(catalog: Catalog) -> None:
    entries = catalog.channels[0]["entries"]
    entries[2] |= {"replaces": "kube-green.v0.9.0", "skips": ["kube-green.v1.0.1"]}


def no_default_channel(catalog: Catalog) -> None:
    del catalog.packages[0]["defaultChannel"]


def unknown_default_channel(catalog: Catalog) -> None:
    catalog.packages[0]["defaultChannel"] = "nightly"


def empty_channel(catalog: Catalog) -> None:
    catalog.add({"schema": "olm.channel", "name": "empty", "package": "kube-green", "entries": []})


def no_package_property(catalog: Catalog) -> None:
    properties = catalog.bundles[0]["properties"]
    catalog.bundles[0]["properties"] = [item for item in properties if item["type"] != "olm.package"]


def no_image(catalog: Catalog) -> None:
    catalog.bundles[0]["image"] = ""


def bundle_without_channel(catalog: Catalog) -> None:
    catalog.channels[0]["entries"].pop(0)


def entry_without_bundle(catalog: Catalog) -> None:
    catalog.bundles.pop(0)


def same_version_twice(catalog: Catalog) -> None:
    for item in catalog.bundles[0]["properties"]:
        if item["type"] == "olm.package":
            item["value"]["version"] = "2.0.0"


def unknown_deprecation(catalog: Catalog) -> None:
    entry = {"reference": {"schema": "olm.bundle", "name": "nobody.v1.0.0"}, "message": "gone"}
    catalog.add({"schema": "olm.deprecations", "package": "kube-green", "entries": [entry]})


def bad_skip(catalog: Catalog) -> None:
    catalog.channels[0]["entries"][3]["skips"] = [""]


MUTATIONS = [
    two_heads,
    cycle,
    no_head,
    stranded,
    no_default_channel,
    unknown_default_channel,
    empty_channel,
    no_package_property,
    no_image,
    bundle_without_channel,
    entry_without_bundle,
    same_version_twice,
    unknown_deprecation,
    bad_skip,
]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutation: str(mutation.__name__))
def test_refuses_what_opm_refuses(versions: list[Path], tmp_path: Path, mutate: Mutation) -> None:
    catalog = Catalog()
    add_bundles(catalog, versions, CatalogOptions(IMAGE))
    mutate(catalog)
    directory = write(catalog, tmp_path / "catalog")

    errors = [finding for finding in check_catalog(load_catalog(directory)) if finding.level is Level.ERROR]

    assert run("opm", "validate", str(directory)).returncode == 1
    assert errors


def stream(text: str) -> list[Blob]:
    decoder, position, result = json.JSONDecoder(), 0, []
    while position < len(text.rstrip()):
        blob, position = decoder.raw_decode(text, position)
        result.append(blob)
        while position < len(text) and text[position].isspace():
            position += 1
    return result


def channels(blobs: list[Blob]) -> list[str]:
    kept = (
        {key: blob[key] for key in ("schema", "name", "defaultChannel", "entries") if key in blob} for blob in blobs
    )
    return sorted(json.dumps(blob, sort_keys=True) for blob in kept)


def test_an_unsafe_crd_change_stops_the_catalog(tmp_path: Path) -> None:
    old, new = make_version(tmp_path, "1.0.0"), make_version(tmp_path, "1.1.0")
    path = new / "manifests" / "kube-green.com_sleepinfos.yaml"
    crd = yaml.load_file(path)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["timeZone"]
    path.write_text(yaml.dump(crd))

    findings = add_bundles(Catalog(), [old, new], CatalogOptions(IMAGE))

    assert [finding.message for finding in findings] == ["the field is removed; the API server prunes it"]
