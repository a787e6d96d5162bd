"""The configuration files that the components read, as pure functions; `write_configs` puts them in their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kopf_sdk.testing.cluster.addresses import API_PORT, DNS_IP, NODE_IP, POD_CIDR, STATE, VOLUME_PLUGINS
from kopf_sdk.testing.cluster.checks import cni_plugins, proxy_mode, snapshotter
from kopf_sdk.testing.cluster.pki import write_kubeconfig
from kopf_sdk.testing.cluster.state import Layout, Size, write_atomic

__all__ = ["audit_policy", "cni", "containerd", "corefile", "kube_proxy", "kubelet", "write_configs"]

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


def audit_policy() -> dict[str, Any]:
    """Who did what, without bodies; only the API server's own bookkeeping and probes are left out."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": ["system:apiserver"]},
            {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*"]},
            {"level": "Metadata"},
        ],
    }


def kubelet(cgroup: str) -> dict[str, Any]:
    """KubeletConfiguration; pods go below the cluster's cgroup."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failSwapOn": False,
        "address": "0.0.0.0",  # noqa: S104 (all of the cluster's own network)
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{STATE}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{STATE}/pki/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{STATE}/pki/kubelet-server.key",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{STATE}/config/resolv.conf",
        "volumePluginDir": str(VOLUME_PLUGINS),
        # The machine's disk belongs to others too: evict late, and never collect images that have no registry.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
        # Tests wait for a changed Secret or ConfigMap to arrive in a pod.
        "syncFrequency": "10s",
        "shutdownGracePeriod": "0s",
        "registerNode": True,
    }


def kube_proxy(mode: str) -> dict[str, Any]:
    """KubeProxyConfiguration; mode is nftables or iptables."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode,
        "clientConnection": {"kubeconfig": f"{STATE}/config/proxy.kubeconfig"},
        "clusterCIDR": POD_CIDR,
        "bindAddress": "0.0.0.0",  # noqa: S104 (all of the cluster's own network)
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # The limits of connection tracking are read-only outside of the first network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"syncPeriod": "30s", "minSyncPeriod": "0s"},
        "iptables": {"syncPeriod": "30s", "minSyncPeriod": "0s"},
    }


def cni() -> dict[str, Any]:
    """Pods on a bridge, routed by the node; the first addresses of the cluster's range."""
    return {
        "cniVersion": "1.0.0",
        "name": "kopf-sdk",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "isDefaultGateway": True,
                "hairpinMode": True,
                "ipMasq": False,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_CIDR.replace("/16", "/24")}]]},
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def containerd(cni_plugins: Path, snapshotter: str) -> str:
    """containerd's config.toml (version 2: read by 1.6 to 2.x)."""
    return f"""\
version = 2
root = "{STATE}/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{STATE}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  # Profiles are loaded into the host's kernel, where they would stay.
  disable_apparmor = true
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE a negative oom_score_adj (pause wants -998) ends every pod in
  # "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{STATE}/config/cni"
"""


def corefile() -> str:
    """Cluster names only: nothing behind it resolves the outside world."""
    return f"""\
.:53 {{
  bind {DNS_IP}
  errors
  health 127.0.0.1:8080
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {STATE}/config/coredns.kubeconfig
    pods insecure
    ttl 2
  }}
  cache 2
}}
"""


def write_configs(layout: Layout, size: Size) -> None:
    """Write everything the components of this size read, their kubeconfigs included."""
    _json(layout.config / "audit.yaml", audit_policy())
    users = ["controller-manager"]
    if size is Size.NODE:
        users += ["scheduler", "kubelet", "proxy", "coredns"]
        _json(layout.config / "kubelet.yaml", kubelet(layout.cgroup))
        _json(layout.config / "kube-proxy.yaml", kube_proxy(proxy_mode()))
        write_atomic(layout.config / "containerd.toml", containerd(cni_plugins(), snapshotter(layout.directory)))
        write_atomic(layout.config / "Corefile", corefile())
        write_atomic(layout.config / "resolv.conf", f"nameserver {DNS_IP}\n")
        (layout.config / "cni").mkdir(exist_ok=True)
        _json(layout.config / "cni/10-kopf-sdk.conflist", cni())
    for user in users:
        write_kubeconfig(
            layout.config / f"{user}.kubeconfig",
            layout.pki,
            user=user,
            server=f"https://{NODE_IP}:{API_PORT}",
            context=layout.context,
        )


def _json(path: Path, document: dict[str, Any]) -> None:
    """JSON: every YAML reader takes it, and CNI insists on it."""
    write_atomic(path, json.dumps(document, indent=2) + "\n")
