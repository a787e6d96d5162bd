"""Which cgroup hierarchies there are, and the subtree of a cluster in them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.cgroups import Hierarchies, find_hierarchies

_HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
cgroup /elsewhere/cpu cgroup rw,relatime,cpu 0 0
proc /proc proc rw 0 0
"""


def test_hybrid_machines_have_both() -> None:
    found = find_hierarchies(_HYBRID)
    assert found.v1 == (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/memory"))
    assert found.v2 == Path("/sys/fs/cgroup/unified")
    assert found.all == (*found.v1, found.v2)


def test_new_machines_have_the_unified_one_alone() -> None:
    found = find_hierarchies("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n")
    assert found == Hierarchies(v2=Path("/sys/fs/cgroup"))


def test_a_new_cpuset_gets_what_its_parent_has(tmp_path: Path) -> None:
    cpuset = tmp_path / "cpuset"
    for directory in (cpuset, cpuset / "dev", cpuset / "dev/system"):
        directory.mkdir()
        (directory / "cpuset.cpus").touch()
        (directory / "cpuset.mems").touch()
    (cpuset / "cpuset.cpus").write_text("0-1\n")
    (cpuset / "cpuset.mems").write_text("0\n")
    Hierarchies(v1=(cpuset,)).create("dev")
    assert (cpuset / "dev/system/cpuset.cpus").read_text() == "0-1\n"
    assert (cpuset / "dev/system/cpuset.mems").read_text() == "0\n"


def test_the_unified_hierarchy_hands_its_controllers_down_when_it_has_them_alone(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    Hierarchies(v2=tmp_path).create("dev")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (tmp_path / "dev/cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (tmp_path / "dev/system").is_dir()


def test_a_container_that_sees_its_own_cgroup_as_the_top_is_told_how_to_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu\n")

    def busy(path: Path, text: str) -> int:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    monkeypatch.setattr(Path, "write_text", busy)
    with pytest.raises(SdkError, match="Device or resource busy") as caught:
        Hierarchies(v2=tmp_path).create("dev")
    assert "--cgroupns=host" in str(caught.value.hint)


def test_processes_of_all_depths_and_hierarchies_are_found(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for directory, content in ((one / "dev", ""), (one / "dev/pods/a", "12\n13\n"), (two / "dev", "13\n0\n")):
        directory.mkdir(parents=True)
        (directory / "cgroup.procs").write_text(content)
    assert Hierarchies(v1=(one, two)).processes("dev") == {12, 13}


def test_removing_takes_the_whole_subtree_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "dev/pods/a").mkdir(parents=True)
    (tmp_path / "dev2").mkdir()
    hierarchies = Hierarchies(v1=(tmp_path,))
    assert hierarchies.exists("dev")
    hierarchies.remove("dev")
    assert not hierarchies.exists("dev")
    assert (tmp_path / "dev2").is_dir()
    hierarchies.remove("dev")  # twice is fine
