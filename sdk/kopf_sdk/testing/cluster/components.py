"""The command line of every component, as functions of nothing but paths: all addresses are fixed (addresses.py).

Paths are those inside the cluster. Flags: the references under https://kubernetes.io/docs/reference/command-line-tools-reference/
for 1.34, and https://etcd.io/docs/v3.6/op-guide/configuration/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.testing.cluster.addresses import (
    API_PORT,
    NODE_IP,
    NODE_NAME,
    POD_CIDR,
    SERVICE_CIDR,
    STATE,
    VOLUME_PLUGINS,
)
from kopf_sdk.testing.cluster.state import Size

__all__ = ["BINARIES", "COMPONENTS", "Component", "command"]


@dataclass(frozen=True)
class Component:
    """A process of the cluster.

    Parameters
    ----------
    name
        Name of its binary, its log, and what users call it.
    needs_api
        It gives up or only makes noise when it is started before the API answers.
    """

    name: str
    needs_api: bool


_CONTROL_PLANE = (
    Component("etcd", needs_api=False),
    Component("kube-apiserver", needs_api=False),
    Component("kube-controller-manager", needs_api=True),
)
_NODE = (
    Component("containerd", needs_api=False),
    Component("kubelet", needs_api=True),
    Component("kube-scheduler", needs_api=True),
    Component("kube-proxy", needs_api=True),
    Component("coredns", needs_api=True),
)

# In the order in which they are started.
COMPONENTS: Mapping[Size, tuple[Component, ...]] = {
    Size.CONTROL_PLANE: _CONTROL_PLANE,
    Size.NODE: (*_CONTROL_PLANE, *_NODE),
}

# What has to be on disk before anything is started; containerd comes from the distribution.
BINARIES: Mapping[Size, tuple[str, ...]] = {
    size: (*(c.name for c in components if c.name != "containerd"), "kubectl")
    for size, components in COMPONENTS.items()
}

_PKI = STATE / "pki"
_CONFIG = STATE / "config"


def command(name: str, binary: Path, size: Size) -> list[str]:
    """The argv of a component."""
    flags = {
        "etcd": _etcd,
        "kube-apiserver": _apiserver,
        "kube-controller-manager": lambda: _controller_manager(size),
        "kube-scheduler": _scheduler,
        "containerd": _containerd,
        "kubelet": _kubelet,
        "kube-proxy": _proxy,
        "coredns": _coredns,
    }[name]()
    return [str(binary), *flags]


def _etcd() -> list[str]:
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return [
        f"--name={NODE_NAME}",
        f"--data-dir={STATE}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={NODE_NAME}={peer}",
        # The data does not outlive the machine's next boot anyway.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver() -> list[str]:
    return [
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={NODE_IP}",
        "--bind-address=0.0.0.0",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={_PKI}/ca.crt",
        f"--tls-cert-file={_PKI}/apiserver.crt",
        f"--tls-private-key-file={_PKI}/apiserver.key",
        f"--kubelet-certificate-authority={_PKI}/ca.crt",
        f"--kubelet-client-certificate={_PKI}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={_PKI}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={_PKI}/service-account.pub",
        f"--service-account-signing-key-file={_PKI}/service-account.key",
        f"--requestheader-client-ca-file={_PKI}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={_PKI}/front-proxy-client.crt",
        f"--proxy-client-key-file={_PKI}/front-proxy-client.key",
        f"--audit-policy-file={_CONFIG}/audit.yaml",
        f"--audit-log-path={STATE}/logs/audit.log",
        # Megabytes: room for a day of tests, an end for a cluster that is forgotten.
        "--audit-log-maxsize=256",
        "--audit-log-maxbackup=1",
        "--v=1",
    ]


def _controller_manager(size: Size) -> list[str]:
    flags = [
        f"--kubeconfig={_CONFIG}/controller-manager.kubeconfig",
        f"--service-account-private-key-file={_PKI}/service-account.key",
        f"--root-ca-file={_PKI}/ca.crt",
        "--use-service-account-credentials=true",
        f"--cluster-signing-cert-file={_PKI}/ca.crt",
        f"--cluster-signing-key-file={_PKI}/ca.key",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--cluster-cidr={POD_CIDR}",
        f"--flex-volume-plugin-dir={VOLUME_PLUGINS}",
        "--leader-elect=false",
        "--secure-port=0",
        # By default 20 requests a second: its controllers alone would need seconds to start.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--v=1",
    ]
    if size is Size.NODE:
        return [*flags, "--allocate-node-cidrs=true"]
    # Without nodes these only watch and wait.
    idle = ("node-ipam-controller", "node-lifecycle-controller", "persistentvolume-attach-detach-controller")
    return [*flags, "--controllers=" + ",".join(["*", *(f"-{name}" for name in idle)])]


def _scheduler() -> list[str]:
    return [f"--kubeconfig={_CONFIG}/scheduler.kubeconfig", "--leader-elect=false", "--secure-port=0"]


def _containerd() -> list[str]:
    return ["--config", f"{_CONFIG}/containerd.toml"]


def _kubelet() -> list[str]:
    return [
        f"--config={_CONFIG}/kubelet.yaml",
        f"--kubeconfig={_CONFIG}/kubelet.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_IP}",
        f"--cert-dir={_PKI}",
        "--v=1",
    ]


def _proxy() -> list[str]:
    return [f"--config={_CONFIG}/kube-proxy.yaml", f"--hostname-override={NODE_NAME}"]


def _coredns() -> list[str]:
    return ["-conf", f"{_CONFIG}/Corefile"]
