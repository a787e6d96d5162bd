"""Host-wide kernel settings that the kubelet wants, and how the host is kept from getting them.

The kubelet compares six settings with fixed values and writes those that differ; they belong to no namespace, so the
whole machine would change. Inside the cluster a file that already says what the kubelet wants is mounted over each of
them: it finds them right and writes nothing. There is nothing to restore, and clusters cannot disturb each other.

Source: setupKernelTunables in pkg/kubelet/cm/container_manager_linux.go.
"""

from __future__ import annotations

from pathlib import Path

from kopf_sdk.testing.cluster.namespaces import MS_BIND, mount

__all__ = ["KUBELET_SETTINGS", "shield"]

KUBELET_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def shield(directory: Path) -> None:
    """Cover the settings in this mount namespace with files made in `directory` (private to it)."""
    directory.mkdir(parents=True, exist_ok=True)
    for setting, value in KUBELET_SETTINGS.items():
        target = Path("/proc/sys") / setting
        if not target.exists():
            continue
        cover = directory / setting.replace("/", ".")
        cover.write_text(f"{value}\n")
        mount(str(cover), target, flags=MS_BIND)
