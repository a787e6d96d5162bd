"""`run bundle`, `run bundle-upgrade`, `cleanup` and `olm uninstall`, as people use them, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo_images import Images
from e2e.olm import packages
from e2e.olm.packages import NEW, OLD, PACKAGE, csv
from e2e.operator.conftest import Cache
from kopf_sdk.bundle.catalog.model import Catalog
from kopf_sdk.errors import SdkError
from kopf_sdk.olm import (
    InstallFailedError,
    InstallMode,
    Watch,
    cleanup,
    install_olm,
    olm_status,
    run_bundle,
    uninstall_olm,
    upgrade_bundle,
)
from kopf_sdk.olm.apply import apply
from kopf_sdk.olm.catalog import CatalogPlace, extend
from kopf_sdk.olm.images import local_images
from kopf_sdk.olm.objects import operator_group, subscription
from kopf_sdk.olm.source import open_source
from kopf_sdk.testing.cluster import Cluster, Size

pytestmark = pytest.mark.node

AT_ONCE, IN_SECONDS = 40.0, 110.0
"""For what is seen in the bundle or in the namespace (a second or two on an idle machine), and for what a pod has to be
started for; less than what is waited for in vain."""


@pytest.fixture(scope="module")
def cluster(olm: Cluster, images: Images) -> Cluster:
    """OLM's, with the images of our bundles in its node."""
    packages.load_images(olm, images)
    return olm


@pytest.fixture
def place(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that is not there yet; what OLM installed in it is removed after the test."""
    name = f"run-{request.node.name[5:].replace('_', '-')[:40].strip('-')}"
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found")
    yield name
    try:
        cleanup(cluster, PACKAGE, namespace=name)
    except SdkError as error:
        assert error.message.startswith("nothing of package")  # noqa: PT017
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def test_a_bundle_is_run_and_upgraded_and_its_caches_outlive_it(
    cluster: Cluster, place: str, bundles: dict[str, Path]
) -> None:
    """With OLM's own catalog pods, from catalog images, and with its unpack Jobs."""
    own = InstallMode("OwnNamespace")
    done = run_bundle(cluster, str(bundles[OLD]), namespace=place, install_mode=own, catalog_image=True)
    assert (done.csv, done.install_mode, done.changed) == (csv(OLD), "OwnNamespace", True)
    source = cluster.get("catalogsource", done.catalog_source, "--namespace", place)
    assert "@sha256:" in source["spec"]["image"]
    jobs = cluster.get("jobs", "--namespace", place)["items"]
    assert [job["status"].get("succeeded") for job in jobs] == [1]

    again = run_bundle(cluster, str(bundles[OLD]), namespace=place, install_mode=own)
    assert not again.changed
    with pytest.raises(SdkError, match=f"is subscribed to in namespace {place} already .*{csv(OLD)}"):
        run_bundle(cluster, str(bundles[NEW]), namespace=place)
    with pytest.raises(SdkError, match="OLM is in use: Subscription"):
        uninstall_olm(cluster)

    cache = Cache(cluster, place)
    cache.apply(size=1)
    cache.settle()
    uids = {name: pod["metadata"]["uid"] for name, pod in cache.pods().items()}

    upgraded = upgrade_bundle(cluster, str(bundles[NEW]), catalog_image=True)
    assert (upgraded.namespace, upgraded.replaced, upgraded.csv) == (place, csv(OLD), csv(NEW))
    with pytest.raises(SdkError, match=f"{csv(NEW)} is installed already"):
        upgrade_bundle(cluster, str(bundles[NEW]))

    removed = cleanup(cluster, PACKAGE)
    assert removed.left == ("memcacheds.cache.example.com",)
    kinds = "subscriptions,csv,catalogsources.operators.coreos.com,operatorgroups,deployments"
    assert cluster.get(kinds, "--namespace", place)["items"] == []
    assert {item for item in removed.removed if "Role" in item} == {
        f"ClusterRole/{PACKAGE}-{name}" for name in ("admin", "editor", "metrics-reader", "viewer")
    }
    assert not any(item["metadata"]["name"].startswith(PACKAGE) for item in cluster.get("clusterroles")["items"])
    assert {name: pod["metadata"]["uid"] for name, pod in cache.pods().items()} == uids
    assert "STORED" in cache.ask("set key 0 0 1\r\n1")


@contextmanager
def told_within(seconds: float, words: str, error: type[SdkError] = SdkError) -> Iterator[None]:
    """Expect an error with these words, and not after a timeout."""
    begin = time.monotonic()
    with pytest.raises(error, match=words):
        yield
    assert time.monotonic() - begin < seconds


def copied(bundle: Path, folder: Path, before: str, after: str) -> Path:
    """A bundle with something else in its CSV."""
    shutil.copytree(bundle, folder / "bundle")
    path = next((folder / "bundle" / "manifests").glob("*clusterserviceversion.yaml"))
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return folder / "bundle"


def test_an_image_that_cannot_be_pulled_is_told_at_the_first_sign(
    cluster: Cluster, place: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    """With the bundle in the catalog, as on clusters that no image can be loaded into."""
    broken = copied(bundles[OLD], tmp_path, f"{packages.REPOSITORY}:{OLD}", "localhost/nobody/has:this")
    with told_within(IN_SECONDS, "the image localhost/nobody/has:this cannot be pulled", InstallFailedError):
        run_bundle(cluster, str(broken), namespace=place, inline=True)
    assert cluster.get("jobs", "--namespace", place)["items"] == []


@pytest.mark.full
def test_so_is_the_image_of_a_catalog_or_of_a_bundle(cluster: Cluster, place: str, bundles: dict[str, Path]) -> None:
    with told_within(IN_SECONDS, "catalog is not served: pod .*the image localhost/nobody/has:opm cannot be pulled"):
        run_bundle(cluster, str(bundles[OLD]), namespace=place, opm_image="localhost/nobody/has:opm")
    cleanup(cluster, PACKAGE, namespace=place)

    catalog = Catalog()
    with open_source(str(bundles[OLD]), cluster) as source:
        extend(catalog, source, image="localhost/nobody/has:bundle")
    CatalogPlace(cluster, place, PACKAGE, local_images(cluster).opm).serve(catalog, "Unpacked by nobody")
    watch = Watch(cluster, place, package=PACKAGE, csv=csv(OLD), timeout=120)
    watch.until(lambda view: view.catalog_ready(f"{PACKAGE}-catalog"))
    mine = subscription("mine", place, package=PACKAGE, channel="stable", source=f"{PACKAGE}-catalog", manual=False)
    apply(cluster, operator_group("group", place, [place]), mine)
    with told_within(IN_SECONDS, "the image localhost/nobody/has:bundle cannot be pulled", InstallFailedError):
        watch.until_succeeded()


def test_what_olm_would_not_install_is_refused_before_anything_is_made(
    cluster: Cluster, place: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    old = str(bundles[OLD])
    with told_within(AT_ONCE, "namespace nowhere, which the operator shall watch, does not exist"):
        run_bundle(cluster, old, namespace=place, install_mode=InstallMode.parse("SingleNamespace=nowhere"))
    with told_within(AT_ONCE, "OperatorGroup global-operators of namespace operators selects all namespaces"):
        run_bundle(cluster, old, namespace="operators", install_mode=InstallMode("OwnNamespace"))
    own = "type: OwnNamespace\n    supported: "
    only_all = copied(bundles[OLD], tmp_path / "modes", f"{own}true", f"{own}false")
    with told_within(AT_ONCE, "does not support install mode OwnNamespace"):
        run_bundle(cluster, str(only_all), namespace=place, install_mode=InstallMode("OwnNamespace"))
    misnamed = copied(bundles[OLD], tmp_path / "owned", "name: memcacheds.cache.", "name: others.cache.")
    with told_within(AT_ONCE, "OLM would refuse this bundle: .*OLM v0 waits for others.cache.example.com for ever"):
        run_bundle(cluster, str(misnamed), namespace=place)
    newer = copied(bundles[OLD], tmp_path / "kube", "minKubeVersion: 1.", "minKubeVersion: 2.")
    with told_within(AT_ONCE, r"needs Kubernetes 2\..* this cluster is v1"):
        run_bundle(cluster, str(newer), namespace=place)
    with told_within(AT_ONCE, "there is no Subscription to memcached-operator in namespace"):
        upgrade_bundle(cluster, old, namespace=place)
    assert not cluster.kubectl("get", "namespace", place, "--ignore-not-found")


def test_a_namespace_has_one_operator_group(cluster: Cluster, place: str, bundles: dict[str, Path]) -> None:
    """OLM itself says nothing in either case, it waits for ever."""
    cluster.create_namespace(place)
    follows = subscription("mine", place, package=PACKAGE, channel="stable", source="none", manual=False)
    cluster.apply(json.dumps(follows))
    watch = Watch(cluster, place, package=PACKAGE, csv=csv(OLD), timeout=60)
    with told_within(AT_ONCE, f"namespace {place} has no OperatorGroup", InstallFailedError):
        watch.until_succeeded()
    for name in "ab":
        cluster.apply(json.dumps(operator_group(name, place, [place])))
    with told_within(AT_ONCE, r"has 2 OperatorGroups \(a, b\)", InstallFailedError):
        watch.until_succeeded()
    with told_within(AT_ONCE, f"namespace {place} has 2 OperatorGroups"):
        run_bundle(cluster, str(bundles[OLD]), namespace=place)


def test_without_olm_nothing_is_run(control_plane: Cluster, bundles: dict[str, Path]) -> None:
    assert olm_status(control_plane).state == "absent"
    assert not uninstall_olm(control_plane)
    for command in (run_bundle, upgrade_bundle):
        with pytest.raises(SdkError, match="OLM is not on this cluster") as caught:
            command(control_plane, str(bundles[OLD]))
        assert caught.value.hint == "kopf-sdk olm install"


@pytest.mark.full
def test_olm_leaves_nothing_behind(images: Images, bundles: dict[str, Path]) -> None:
    """Uninstalled with an operator in it, by force."""
    cluster = Cluster(f"pytest-olm-gone-{os.getpid()}")
    kinds = "namespaces,crd,clusterroles,clusterrolebindings,apiservices"
    kinds += ",mutatingwebhookconfigurations,validatingwebhookconfigurations"

    def names() -> set[str]:
        return {f"{item['kind']}/{item['metadata']['name']}" for item in cluster.get(kinds)["items"]}

    try:
        cluster.up(Size.NODE, owner=os.getpid())
        before = names()
        install_olm(cluster)
        packages.load_images(cluster, images)
        run_bundle(cluster, str(bundles[OLD]), namespace="mine")
        assert uninstall_olm(cluster, force=True)
        assert olm_status(cluster).state == "absent"
        # The namespace and the operator's kinds are the user's.
        assert names() - before == {
            "Namespace/mine",
            "CustomResourceDefinition/memcacheds.cache.example.com",
            "APIService/v1alpha1.cache.example.com",
        }
    finally:
        cluster.down()
