"""The catalog that a bundle is run from, and what is refused before anything is tried."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.bundle_dir import load_bundle
from kopf_sdk.bundle.catalog.model import Catalog
from kopf_sdk.bundle.oci import bundle_image, layout_tar
from kopf_sdk.errors import SdkError
from kopf_sdk.olm.catalog import catalog_image, extend, read, serialize
from kopf_sdk.olm.images import named_by_digest
from kopf_sdk.olm.refusals import check_bundle, check_kube_version, check_olm, check_path
from kopf_sdk.olm.source import BundleSource, open_source
from kopf_sdk.olm.status import OlmStatus
from kopf_sdk.testing.cluster.kubectl import Kubectl

OURS = Path(__file__).parents[3] / "bundle"
CSV = "manifests/memcached-operator.clusterserviceversion.yaml"
PACKAGE, CHANNEL = "memcached-operator", "candidate"


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """A function that makes our bundle in another version, with changes to its CSV's spec."""

    def bundle(version: str, **spec: Any) -> BundleSource:
        directory = tmp_path / version / "bundle"
        shutil.copytree(OURS, directory)
        text = (directory / CSV).read_text().replace(f"{PACKAGE}.v0.1.0", f"{PACKAGE}.v{version}")
        csv = yaml.load(text, source="csv")
        csv["spec"] |= {"version": version, **spec}
        (directory / CSV).write_text(yaml.dump(csv))
        return BundleSource(load_bundle(directory), directory, None)

    return bundle


def entries(catalog: Catalog) -> dict[str, str]:
    channel = catalog.channel(PACKAGE, CHANNEL)
    assert channel is not None
    return {entry["name"]: entry.get("replaces", "") for entry in channel["entries"]}


def test_each_version_replaces_the_one_before_and_may_be_made_again(make: Any) -> None:
    catalog = Catalog()
    first, second = make("1.0.0"), make("1.1.0")
    extend(catalog, first, image="registry/x@sha256:1")
    extend(catalog, second, image="registry/x@sha256:2")
    extend(catalog, second, image="registry/x@sha256:3")
    assert entries(catalog) == {f"{PACKAGE}.v1.0.0": "", f"{PACKAGE}.v1.1.0": f"{PACKAGE}.v1.0.0"}
    assert [bundle["image"][-1] for bundle in catalog.bundles] == ["1", "3"]
    assert serialize(read(serialize(catalog))) == serialize(catalog)


def test_a_catalog_of_its_own_leads_on_from_what_is_installed(make: Any) -> None:
    catalog = Catalog()
    extend(catalog, make("1.1.0"), image="", replaces=f"{PACKAGE}.v1.0.0")
    assert entries(catalog) == {f"{PACKAGE}.v1.1.0": f"{PACKAGE}.v1.0.0"}
    kinds = {item["type"] for item in catalog.bundles[0]["properties"]}
    assert "olm.bundle.object" in kinds  # no image: the catalog carries the objects


def test_an_upgrade_that_olm_would_never_do_is_refused(make: Any) -> None:
    bundle = make("2.0.0", replaces=f"{PACKAGE}.v1.9.0").bundle
    way = [{"name": bundle.name, "replaces": f"{PACKAGE}.v1.9.0"}]
    check_path(bundle, f"{PACKAGE}.v1.9.0", way)
    with pytest.raises(SdkError, match=r"v2\.0\.0 \(replaces .*v1\.9\.0\) is no upgrade of .*v1\.0\.0"):
        check_path(bundle, f"{PACKAGE}.v1.0.0", way)
    check_path(bundle, f"{PACKAGE}.v1.0.0", [*way, {"name": f"{PACKAGE}.v1.9.0", "replaces": f"{PACKAGE}.v1.0.0"}])
    check_path(bundle, f"{PACKAGE}.v1.0.0", [{**way[0], "skips": [f"{PACKAGE}.v1.0.0"]}])
    check_path(bundle, f"{PACKAGE}.v1.0.0", [{**way[0], "skipRange": ">=1.0.0 <2.0.0"}])


def test_a_bundle_that_olm_refuses_is_refused_first(make: Any) -> None:
    check_bundle(make("1.0.0").bundle)
    with pytest.raises(SdkError, match=r"OLM would refuse this bundle: .*installModes"):
        check_bundle(make("1.0.1", installModes=[]).bundle)


def test_an_old_cluster_and_a_missing_olm_are_told() -> None:
    bundle = load_bundle(OURS)
    check_kube_version(bundle, "v1.99.0")
    with pytest.raises(SdkError, match=r"needs Kubernetes .* this cluster is v1\.2\.0"):
        check_kube_version(bundle, "v1.2.0")
    with pytest.raises(SdkError, match="OLM is not on this cluster") as caught:
        check_olm(OlmStatus("absent"))
    assert caught.value.hint == "kopf-sdk olm install"


@pytest.mark.parametrize("packed", [True, False])
def test_archives_hold_the_bundle_that_they_were_made_of(tmp_path: Path, packed: bool) -> None:
    files = bundle_image(load_bundle(OURS), "localhost/x/bundle:v1")
    if not packed:  # as an index of platforms, with plain layers
        files = nested(files)
    archive = tmp_path / "bundle.tar"
    archive.write_bytes(layout_tar(files))
    with open_source(str(archive), Kubectl()) as source:
        assert source.bundle.files == load_bundle(OURS).files
        assert source.archive == archive


def nested(files: dict[str, bytes]) -> dict[str, bytes]:
    made = {"oci-layout": files["oci-layout"]}

    def put(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        made[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content)}

    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files[f"blobs/{entry['digest'].replace(':', '/')}"])
    manifest["layers"] = [
        put(gzip.decompress(files[f"blobs/{x['digest'].replace(':', '/')}"])) for x in manifest["layers"]
    ]
    inner = put(json.dumps({"manifests": [put(json.dumps(manifest).encode())]}).encode())
    return {**made, "index.json": json.dumps({"manifests": [inner]}).encode()}


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no tar", "not an image archive"), (layout_tar({"a": b"b"}), "not an OCI archive")],
)
def test_other_files_are_no_bundles(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(SdkError, match=said), open_source(str(path), Kubectl()):
        pass
    with pytest.raises(SdkError, match="no such directory or archive"), open_source(str(tmp_path / "y"), Kubectl()):
        pass


def test_a_catalog_image_is_the_same_bytes_for_the_same_catalog(tmp_path: Path) -> None:
    one, two = tmp_path / "1.tar", tmp_path / "2.tar"
    for path in (one, two):
        catalog_image({"p/catalog.json": "{}"}, "localhost/x/catalog:1", path)
    assert one.read_bytes() == two.read_bytes()
    assert named_by_digest(one).startswith("localhost/x/catalog@sha256:")
    with tarfile.open(one) as outer:
        layers = [outer.extractfile(m) for m in outer if m.size > 5000]
        assert layers[0] is not None
        with tarfile.open(fileobj=io.BytesIO(layers[0].read())) as inner:
            assert "configs/p/catalog.json" in inner.getnames()
