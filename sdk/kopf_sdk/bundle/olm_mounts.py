"""The volumes that OLM puts into every deployment that serves webhooks or APIs, and what of the chart's is in the way.

OLM v0 (pkg/controller/install/certresources.go) and v1 (rukpak render, certproviders) mount the serving certificate at
two fixed paths under two fixed volume names, and replace what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.references import containers, pod_strings
from kopf_sdk.bundle.serving import olm_secret_name

__all__ = ["OLM_FILES", "OLM_PATHS", "Finding", "make_way", "mentions_path"]

OLM_PATHS: Mapping[str, str] = {
    "webhook-cert": "/tmp/k8s-webhook-server/serving-certs",  # noqa: S108  # OLM's path
    "apiservice-cert": "/apiserver.local.config/certificates",
}
"""Where OLM mounts the certificate, by the name of its volume."""
OLM_FILES: Mapping[str, Mapping[str, str]] = {
    "webhook-cert": {"tls.crt": "tls.crt", "tls.key": "tls.key"},
    "apiservice-cert": {"tls.crt": "apiserver.crt", "tls.key": "apiserver.key"},
}
"""The files there, by the keys of the Secret."""


class Finding(NamedTuple):
    """What was done, or cannot be."""

    level: Level
    code: str
    message: str
    hint: str = ""


def mentions_path(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod looks for its certificate where OLM puts it."""
    mounts = [str(mount.get("mountPath")) for c in containers(pod) for mount in c.get("volumeMounts") or ()]
    texts = [*mounts, *(text for _, text in pod_strings(pod))]
    return any(path in text for text in texts for path in OLM_PATHS.values())


def make_way(pod: dict[str, Any], deployment: str, *, lacks_certificate: bool) -> list[Finding]:
    """Rename volumes that have OLM's names; give up mounts at OLM's paths, where OLM puts the same files itself.

    Parameters
    ----------
    pod
        The pod's spec, changed in place.
    deployment
        The deployment's name.
    lacks_certificate
        Whether no volume of the pod holds the certificate: an empty one may be for it.
    """
    findings = list(_renamed(pod))
    idle: set[str] = set()
    for reserved in OLM_PATHS:
        for container in pod.get("containers") or ():
            for mount in _mounts(container, OLM_PATHS[reserved]):
                volume: Mapping[str, Any] = next(
                    (volume for volume in pod.get("volumes") or () if volume.get("name") == mount.get("name")), {}
                )
                where = f"container {container.get('name')}"
                if _is_olms(mount, volume, reserved, deployment):
                    findings.append(_left_to_olm(where, reserved))
                elif lacks_certificate and "emptyDir" in volume:
                    findings.append(_not_writable(where, mount, reserved))
                else:
                    findings.append(_in_the_way(where, mount, reserved))
                container["volumeMounts"].remove(mount)
                idle.add(str(mount.get("name")))
            if container.get("volumeMounts") == []:
                del container["volumeMounts"]
    idle -= {str(mount.get("name")) for container in containers(pod) for mount in container.get("volumeMounts") or ()}
    if "volumes" in pod:
        pod["volumes"] = [volume for volume in pod["volumes"] if volume.get("name") not in idle]
        if not pod["volumes"]:
            del pod["volumes"]
    return findings


def _renamed(pod: Mapping[str, Any]) -> Iterator[Finding]:
    volumes = pod.get("volumes") or ()
    mounts = [mount for container in containers(pod) for mount in container.get("volumeMounts") or ()]
    taken = {volume.get("name") for volume in volumes}
    for reserved in OLM_PATHS:
        if reserved not in taken:
            continue
        fresh = next(
            f"{reserved}-{suffix}" for suffix in ("chart", *range(2, 99)) if f"{reserved}-{suffix}" not in taken
        )
        for holder in [*volumes, *mounts]:
            if holder.get("name") == reserved:
                holder["name"] = fresh
        yield Finding(
            Level.INFO, "volume-renamed", f"volume {reserved} is called {fresh}: OLM takes the name for itself"
        )


def _mounts(container: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    return [
        mount for mount in container.get("volumeMounts") or () if str(mount.get("mountPath", "")).rstrip("/") == path
    ]


def _is_olms(mount: Mapping[str, Any], volume: Mapping[str, Any], reserved: str, deployment: str) -> bool:
    """Tell whether the mount shows nothing but what OLM's own will."""
    source = volume.get("secret") or {}
    files = {item["path"] for item in source.get("items") or ()} - {"ca.crt"}
    provided = set(OLM_FILES[reserved].values())
    return source.get("secretName") == olm_secret_name(deployment) and files <= provided and "subPath" not in mount


def _left_to_olm(where: str, reserved: str) -> Finding:
    files = " and ".join(sorted(OLM_FILES[reserved].values()))
    return Finding(
        Level.INFO,
        "olm-path",
        f"{where}: OLM mounts its certificate at {OLM_PATHS[reserved]} itself, with {files} and without ca.crt; the "
        "chart's mount there is left to OLM",
    )


def _not_writable(where: str, mount: Mapping[str, Any], reserved: str) -> Finding:
    return Finding(
        Level.WARNING,
        "olm-path",
        f"{where}: the empty volume {mount.get('name')} is for a certificate that the operator writes to "
        f"{OLM_PATHS[reserved]}; OLM mounts its own there, read-only",
        "Have the operator read the certificate that it finds, if it does not by itself.",
    )


def _in_the_way(where: str, mount: Mapping[str, Any], reserved: str) -> Finding:
    return Finding(
        Level.ERROR,
        "olm-path",
        f"{where}: volume {mount.get('name')} is mounted at {OLM_PATHS[reserved]}, where OLM puts its own certificate "
        "instead",
        "Mount it somewhere else: with values, or with a patch in bundle.yaml.",
    )
