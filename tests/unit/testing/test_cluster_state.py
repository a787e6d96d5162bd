"""What is written down about a cluster, and who may change it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.state import KeeperRecord, Phase, Record, Size, layout, names, state_root, write_atomic


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KOPF_SDK_STATE", str(tmp_path))
    return tmp_path


def test_the_state_is_found_by_environment_then_by_xdg_then_at_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert state_root() == tmp_path
    monkeypatch.delenv("KOPF_SDK_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_root() == Path("/xdg/kopf-sdk/clusters")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert state_root() == Path("/home/somebody/.local/state/kopf-sdk/clusters")


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a/b", "..", "a" * 41])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(SdkError, match="cannot be the name"):
        layout(name)


@pytest.mark.parametrize("name", ["a", "dev", "a-b", "pytest-node-4711", "a" * 40])
def test_a_good_name_is_taken(name: str) -> None:
    assert layout(name).directory.name == name


def test_cgroups_of_the_same_name_in_other_places_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    first = layout("dev").cgroup
    monkeypatch.setenv("KOPF_SDK_STATE", "/elsewhere")
    second = layout("dev").cgroup
    assert first != second
    assert first.startswith("kopf-sdk-dev-")


def test_records_come_back_as_they_were_written() -> None:
    paths = layout("dev")
    paths.create()
    record = Record("dev", Size.NODE, Phase.FAILED, "because", "2026-01-01")
    keeper = KeeperRecord(pid=1, started=2, init_pid=3, init_started=4, api_port=5)
    paths.save(record)
    paths.save(keeper)
    assert paths.record() == record
    assert paths.keeper() == keeper


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"name": "dev", "size": "huge", "phase": "ready"}', "\0"])
def test_a_broken_record_counts_as_none(content: str) -> None:
    paths = layout("dev")
    paths.create()
    paths.record_file.write_text(content)
    paths.keeper_file.write_text(content)
    assert paths.record() is None
    assert paths.keeper() is None


def test_only_clusters_are_listed(root: Path) -> None:
    layout("one").create()
    layout("two").create()
    (root / ".one.lock").touch()
    (root / "Not A Name").mkdir()
    assert names() == ["one", "two"]


def test_the_directory_is_private() -> None:
    paths = layout("dev")
    paths.create()
    assert paths.pki.stat().st_mode & 0o077 == 0


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "one")
    write_atomic(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_one_holds_the_lock_and_the_other_is_told_and_waits() -> None:
    paths = layout("dev")
    paths.create()
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with paths.lock(waiting.set):
            order.append("second")

    with paths.lock():
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(5)
        assert paths.is_locked()
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert not paths.is_locked()


def test_the_lock_file_goes_with_the_cluster_and_whoever_waited_gets_a_new_one(root: Path) -> None:
    paths = layout("dev")
    paths.create()
    waiting = threading.Event()
    held = threading.Event()

    def second() -> None:
        with paths.lock(waiting.set):
            assert paths.is_locked()
            held.set()

    with paths.lock():
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(5)
        paths.remove()
    thread.join(5)
    assert held.is_set()
    assert list(root.iterdir()) == []


def test_the_preferred_port_is_stable_and_none_that_clients_get() -> None:
    ports = {layout(name).preferred_port for name in ("dev", "dev", "demo", "test")}
    assert len(ports) == 3
    assert all(20000 <= port < 30000 for port in ports)
