"""Command lines and configuration files of the components."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from kopf_sdk.testing.cluster import checks, configs
from kopf_sdk.testing.cluster.addresses import NODE_IP, STATE
from kopf_sdk.testing.cluster.components import BINARIES, COMPONENTS, command
from kopf_sdk.testing.cluster.pki import write_pki
from kopf_sdk.testing.cluster.state import Layout, Size


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(configs, "cni_plugins", lambda: Path("/usr/lib/cni"))
    monkeypatch.setattr(configs, "proxy_mode", lambda: "nftables")
    layout = Layout("dev", tmp_path)
    layout.create()
    write_pki(layout.pki, node_name="node1", node_ip=NODE_IP, service_ip="10.96.0.1")
    return layout


def test_the_control_plane_is_a_part_of_the_node() -> None:
    node = [c.name for c in COMPONENTS[Size.NODE]]
    assert [c.name for c in COMPONENTS[Size.CONTROL_PLANE]] == ["etcd", "kube-apiserver", "kube-controller-manager"]
    assert node[:3] == ["etcd", "kube-apiserver", "kube-controller-manager"]
    assert set(node[3:]) == {"containerd", "kubelet", "kube-scheduler", "kube-proxy", "coredns"}


def test_binaries_are_all_that_is_built_and_kubectl() -> None:
    assert BINARIES[Size.CONTROL_PLANE] == ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
    assert "containerd" not in BINARIES[Size.NODE]
    assert "coredns" in BINARIES[Size.NODE]


@pytest.mark.parametrize("size", list(Size))
def test_every_file_that_a_component_is_told_to_read_is_written(files: Layout, size: Size) -> None:
    configs.write_configs(files, size)
    texts = [word for c in COMPONENTS[size] for word in command(c.name, Path("/bin/x"), size)]
    texts += [p.read_text() for p in files.config.rglob("*") if p.is_file()]
    # etcd's and containerd's data and the audit log are made by their owners; certificates and configs are not.
    wanted = set(re.findall(rf"{STATE}/(?:pki|config)/[\w./-]+\w", "\n".join(texts)))
    assert len(wanted) > 10
    missing = {path for path in wanted if not (files.directory / Path(path).relative_to(STATE)).exists()}
    assert missing == set()


def test_paths_are_those_inside_so_that_no_socket_is_too_long(files: Layout) -> None:
    configs.write_configs(files, Size.NODE)
    for path in files.config.rglob("*"):
        assert path.is_dir() or str(files.directory) not in path.read_text()


def test_only_a_cluster_with_a_node_gives_nodes_addresses() -> None:
    assert "--allocate-node-cidrs=true" in command("kube-controller-manager", Path("x"), Size.NODE)
    [controllers] = [
        flag for flag in command("kube-controller-manager", Path("x"), Size.CONTROL_PLANE) if "--controllers" in flag
    ]
    assert controllers.startswith("--controllers=*,-node-ipam-controller")


def test_containerds_config_is_toml_with_what_was_asked_for() -> None:
    cri = tomllib.loads(configs.containerd(Path("/opt/cni/bin"), "native"))["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["cni"]["bin_dir"] == "/opt/cni/bin"
    assert cri["containerd"]["snapshotter"] == "native"
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}


def test_the_cni_config_is_json_with_pods_in_the_nodes_range(files: Layout) -> None:
    configs.write_configs(files, Size.NODE)
    bridge, portmap = json.loads((files.config / "cni/10-kopf-sdk.conflist").read_text())["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.0.0/24"}]]
    assert portmap["type"] == "portmap"


def test_pods_go_below_the_clusters_own_cgroup() -> None:
    assert configs.kubelet("kopf-sdk-dev-1234")["cgroupRoot"] == "/kopf-sdk-dev-1234"


@pytest.mark.parametrize(
    ("directory", "expected"),
    [("/root/.local/state", "overlayfs"), ("/var/lib/containers/x", "native"), ("/var/libx", "overlayfs")],
)
def test_layers_are_copied_where_overlays_cannot_be_nested(directory: str, expected: str) -> None:
    mounts = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /var/lib rw,relatime shared:1 - overlay overlay rw,lowerdir=/x
41 27 0:51 / /proc rw,relatime - proc proc rw
"""
    assert checks.snapshotter(Path(directory), mounts) == expected
