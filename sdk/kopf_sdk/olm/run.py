"""`run bundle` and `run bundle-upgrade`: OLM installs a bundle out of a catalog made for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.catalog.model import Catalog
from kopf_sdk.errors import SdkError
from kopf_sdk.olm.apply import apply
from kopf_sdk.olm.catalog import CatalogPlace, extend, read, serialize
from kopf_sdk.olm.cleanup import cleanup
from kopf_sdk.olm.images import local_images
from kopf_sdk.olm.modes import InstallMode, choose_mode, group_mode, supported_modes, the_group
from kopf_sdk.olm.objects import operator_group, subscription
from kopf_sdk.olm.refusals import check_bundle, check_kube_version, check_olm, check_path, check_targets
from kopf_sdk.olm.release import released_images
from kopf_sdk.olm.source import open_source
from kopf_sdk.olm.status import MANAGED_BY, olm_status
from kopf_sdk.olm.subscriptions import find_subscription
from kopf_sdk.olm.view import View
from kopf_sdk.olm.watch import Watch
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import Kubectl
from kopf_sdk.testing.cluster.progress import SILENT, Progress

__all__ = ["GROUP", "Installed", "default_namespace", "run_bundle", "upgrade_bundle"]

GROUP = "kopf-sdk-og"
"""Name of the OperatorGroup that is made where there is none."""
_CONTENT = "kopf-sdk/bundle-digest"
_CHANNEL = "operators.operatorframework.io.bundle.channel.default.v1"
_CHANNELS = "operators.operatorframework.io.bundle.channels.v1"


@dataclass(frozen=True)
class Installed:
    """What OLM installed.

    Attributes
    ----------
    changed
        False when the same bundle had been installed before.
    """

    package: str
    csv: str
    namespace: str
    install_mode: str
    catalog_source: str
    subscription: str
    replaced: str = ""
    changed: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def run_bundle(
    cluster: Kubectl,
    source: str,
    *,
    namespace: str = "",
    install_mode: InstallMode | None = None,
    catalog_image: bool = False,
    inline: bool = False,
    opm_image: str = "",
    replace: bool = False,
    skip_validation: bool = False,
    timeout: float = 300.0,
    progress: Progress = SILENT,
) -> Installed:
    """Install a bundle by OLM and wait until its ClusterServiceVersion has succeeded.

    Parameters
    ----------
    source
        Directory, image archive, or image.
    namespace
        Where to install it, made when it is not there; by default what the CSV suggests.
    install_mode
        AllNamespaces, else OwnNamespace, when left out; or what the OperatorGroup that is there says.
    catalog_image
        Give a local node a catalog image for OLM to serve, in place of a pod that serves a ConfigMap.
    inline
        Have the catalog carry the bundle's objects, as it does on other than local clusters, so that OLM unpacks no
        image.
    opm_image
        What serves the catalog; the released image (on a local cluster the one made here) when left out.
    replace
        Remove what is there of the package first, as `cleanup` does it: its resources stay.
    timeout
        Seconds for everything that OLM does.

    Raises
    ------
    SdkError
        Something is wrong with the bundle, the namespace or OLM; nothing was changed.
    InstallFailedError
        OLM did not install it. What it made so far stays, to be looked at; `cleanup` removes it.
    """
    with open_source(source, cluster) as opened:
        bundle = opened.bundle
        with progress.step(f"{bundle.name or source} checked"):
            check_olm(olm_status(cluster))
            if not skip_validation:
                check_bundle(bundle)
            check_kube_version(bundle, _server_version(cluster))
            namespace = namespace or default_namespace(bundle)
            namespaces = [item["metadata"]["name"] for item in cluster.get("namespaces")["items"]]
            watch = Watch(cluster, namespace, package=bundle.package, csv=bundle.name, timeout=timeout)
            view = watch.look()
            if elsewhere := view.owner_elsewhere({str(crd.get("name")) for crd in bundle.owned}):
                raise SdkError(
                    f"{elsewhere} looks after {namespace} already and provides the same resources",
                    hint=f"kopf-sdk cleanup {bundle.package} removes it; the resources stay",
                )
            mode, has_group = _mode(bundle, view, install_mode, namespace)
            check_targets(mode.targets(namespace), namespace, namespaces)
            done = _same(bundle, view, namespace, str(mode))
            other = None if done else _other(bundle, view, namespace)
            if other is not None and not replace:
                raise other
        if done is not None:
            progress.note(f"{bundle.name} is installed in {namespace} already")
            return done
        if other is not None:
            cleanup(cluster, bundle.package, namespace=namespace, progress=progress)
            mode, has_group = _mode(bundle, watch.look(), install_mode, namespace)
        if namespace not in namespaces:
            apply(
                cluster,
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": MANAGED_BY}},
            )
        place = _place(cluster, namespace, bundle.package, image=catalog_image, inline=inline, opm=opm_image)
        with progress.step("catalog with it served"):
            catalog = Catalog()
            extend(catalog, opened, image=place.bundle_reference(opened))
            place.serve(catalog, _title(bundle))
            if not has_group:
                apply(cluster, operator_group(GROUP, namespace, mode.targets(namespace)))
            watch.until(lambda view: view.catalog_ready(place.name))
        wanted = subscription(
            bundle.name.replace(".", "-"),
            namespace,
            package=bundle.package,
            channel=_channel(bundle),
            source=place.name,
            starting_csv=bundle.name,
            annotations={_CONTENT: _digest(bundle)},
        )
        apply(cluster, wanted)
        _follow(cluster, watch, bundle, progress)
        return Installed(bundle.package, bundle.name, namespace, str(mode), place.name, wanted["metadata"]["name"])


def upgrade_bundle(
    cluster: Kubectl,
    source: str,
    *,
    namespace: str = "",
    catalog_image: bool = False,
    inline: bool = False,
    opm_image: str = "",
    skip_validation: bool = False,
    timeout: float = 300.0,
    progress: Progress = SILENT,
) -> Installed:
    """Upgrade an operator that is subscribed to, by the bundle of a newer version; parameters as for `run_bundle`.

    The catalog that `run_bundle` made is extended. A subscription to another catalog is pointed to one that has this
    bundle only, as the next version of what is installed.

    Raises
    ------
    SdkError
        Nothing is installed, or the bundle is no upgrade of it; nothing was changed.
    InstallFailedError
        OLM did not get to the new version.
    """
    with open_source(source, cluster) as opened:
        bundle = opened.bundle
        with progress.step(f"{bundle.name or source} checked"):
            check_olm(olm_status(cluster))
            if not skip_validation:
                check_bundle(bundle)
            check_kube_version(bundle, _server_version(cluster))
            current = find_subscription(cluster, bundle.package, namespace, hint="kopf-sdk run bundle installs it")
            namespace = current["metadata"]["namespace"]
            watch = Watch(cluster, namespace, package=bundle.package, csv=bundle.name, timeout=timeout)
            view = watch.look()
            installed = _installed(current, view)
            mode, has_group = _mode(bundle, view, None, namespace)
            if not has_group:
                raise SdkError(
                    f"namespace {namespace} has no OperatorGroup any more: OLM upgrades nothing there",
                    hint=f"make one again: kopf-sdk cleanup {bundle.package}, then kopf-sdk run bundle",
                )
            place = _place(cluster, namespace, bundle.package, image=catalog_image, inline=inline, opm=opm_image)
            result = Installed(
                bundle.package, bundle.name, namespace, str(mode), place.name, current["metadata"]["name"], installed
            )
            if installed == bundle.name:
                raise SdkError(
                    f"{bundle.name} is installed already", hint="give the bundle a new version: `version` in Chart.yaml"
                )
            ours = current["spec"]["source"] == place.name and (stored := place.stored()) is not None
            catalog = stored if ours and stored is not None else Catalog()
            channel = _channel_to_follow(bundle, current)
            trial = read(serialize(catalog))
            extend(trial, opened, image="localhost/not-loaded-yet", replaces=installed)
            check_path(bundle, installed, (trial.channel(bundle.package, channel) or {}).get("entries") or ())
        with progress.step("catalog with it served"):
            extend(catalog, opened, image=place.bundle_reference(opened), replaces=installed)
            place.serve(catalog, _title(bundle))
        followed = subscription(
            current["metadata"]["name"],
            namespace,
            package=bundle.package,
            channel=channel,
            source=place.name,
            starting_csv=current["spec"].get("startingCSV", ""),
            manual=current["spec"].get("installPlanApproval") == "Manual",
            annotations={_CONTENT: _digest(bundle)},
        )
        apply(cluster, followed)
        _follow(cluster, watch, bundle, progress)
        return result


def default_namespace(bundle: Bundle) -> str:
    """Return where a bundle wants to be installed: its CSV's suggestion, else the package's name."""
    return str(bundle.csv_annotations.get("operatorframework.io/suggested-namespace") or bundle.package)


def _follow(cluster: Kubectl, watch: Watch, bundle: Bundle, progress: Progress) -> None:
    """Approve what OLM plans on the way to the bundle's version, and wait until it has succeeded."""

    def approved(view: View) -> bool:
        # On the way from an old version there may be plans for the ones between.
        _approve(cluster, view, bundle)
        plan = view.plan_for(bundle.name)
        return plan is not None and bool(plan["spec"].get("approved"))

    with progress.step("InstallPlan made and approved"):
        watch.until(approved)
    with progress.step("bundle unpacked, objects applied"):
        watch.until(lambda view: ((view.plan_for(bundle.name) or {}).get("status") or {}).get("phase") == "Complete")
    with progress.step(f"{bundle.name} Succeeded"):
        watch.until_succeeded()


def _approve(cluster: Kubectl, view: View, bundle: Bundle) -> None:
    """Approve the waiting plans that were made for the package's subscription."""
    current = view.subscription(bundle.package)
    reference = ((current or {}).get("status") or {}).get("installPlanRef") or {}
    plan = view.find("InstallPlan", str(reference.get("name")))
    if plan is None or plan["spec"].get("approved") or (plan.get("status") or {}).get("phase") != "RequiresApproval":
        return
    where = ("--namespace", view.namespace, "--type=merge", '--patch={"spec":{"approved":true}}')
    cluster.kubectl("patch", "installplans.operators.coreos.com", plan["metadata"]["name"], *where)


def _mode(bundle: Bundle, view: View, wish: InstallMode | None, namespace: str) -> tuple[InstallMode, bool]:
    """The install mode, and whether the namespace has its OperatorGroup."""
    supported = supported_modes(bundle.spec)
    group = the_group(view.of("OperatorGroup"), namespace)
    if group is not None:
        return group_mode(bundle.name, supported, wish, group), True
    return choose_mode(bundle.name, supported, wish, namespace), False


def _same(bundle: Bundle, view: View, namespace: str, mode: str) -> Installed | None:
    """Return what is installed when it is this very bundle."""
    current = view.subscription(bundle.package)
    if current is None or view.phase(bundle.name) != "Succeeded":
        return None
    metadata = current["metadata"]
    if (metadata.get("annotations") or {}).get(_CONTENT) != _digest(bundle):
        return None
    source = current["spec"]["source"]
    return Installed(bundle.package, bundle.name, namespace, mode, source, metadata["name"], changed=False)


def _other(bundle: Bundle, view: View, namespace: str) -> SdkError | None:
    """Return what to say when something else of the package is there."""
    clean = f"kopf-sdk cleanup {bundle.package} --namespace {namespace}, or --replace, removes what is there"
    current = view.subscription(bundle.package)
    if current is None:
        if view.find("ClusterServiceVersion", bundle.name) is None:
            return None
        there = f"{bundle.name} is in namespace {namespace} without a Subscription: OLM would not take it over"
        return SdkError(there, hint=clean)
    status = current.get("status") or {}
    there = status.get("installedCSV") or status.get("currentCSV") or "nothing installed yet"
    return SdkError(
        f"{bundle.package} is subscribed to in namespace {namespace} already "
        f"(Subscription {current['metadata']['name']}, {there})",
        hint=f"kopf-sdk run bundle-upgrade brings a newer version; {clean}",
    )


def _installed(current: Mapping[str, Any], view: View) -> str:
    name = str((current.get("status") or {}).get("installedCSV") or "")
    metadata = current["metadata"]
    if not name:
        raise SdkError(
            f"Subscription {metadata['name']} in namespace {metadata['namespace']} has installed nothing yet",
            hint=f"wait for it, or kopf-sdk cleanup {current['spec']['name']} and run the new bundle",
        )
    phase = view.phase(name)
    if phase not in {"Succeeded", "Replacing"}:
        raise SdkError(
            f"{name}, which is installed, is {phase or 'gone'}: OLM replaces only what works",
            hint=f"repair it, or kopf-sdk cleanup {current['spec']['name']} --namespace {metadata['namespace']} "
            "(resources stay) and run the new bundle",
        )
    return name


def _place(cluster: Kubectl, namespace: str, package: str, *, image: bool, inline: bool, opm: str) -> CatalogPlace:
    local = isinstance(cluster, Cluster)
    if image and not local:
        raise SdkError("a catalog image can be loaded into local clusters only", hint="leave --catalog-image out")
    if image:
        return CatalogPlace(cluster, namespace, package)
    if not opm:
        opm = (local_images(cluster) if isinstance(cluster, Cluster) else released_images()).opm
    return CatalogPlace(cluster, namespace, package, opm, inline)


def _channels(bundle: Bundle) -> list[str]:
    return [name.strip() for name in bundle.annotations.get(_CHANNELS, "").split(",") if name.strip()]


def _channel(bundle: Bundle) -> str:
    return bundle.annotations.get(_CHANNEL) or _channels(bundle)[0]


def _channel_to_follow(bundle: Bundle, current: Mapping[str, Any]) -> str:
    """The subscription's channel when the bundle is in it, else the bundle's own."""
    present = str(current["spec"].get("channel") or "")
    return present if present in _channels(bundle) else _channel(bundle)


def _title(bundle: Bundle) -> str:
    return str(bundle.spec.get("displayName") or bundle.package)


def _digest(bundle: Bundle) -> str:
    """Tells two bundles of one version apart."""
    digest = hashlib.sha256()
    for path in sorted(bundle.files):
        digest.update(f"{path}\0{len(bundle.files[path])}\0".encode() + bundle.files[path])
    return digest.hexdigest()[:32]


def _server_version(cluster: Kubectl) -> str:
    return str(json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"])
