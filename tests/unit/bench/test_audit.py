"""Requests are counted also when the log is rotated meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench.audit import Audit, writes


def write(path: Path, *requests: str, agent: str = "kopf-sdk", stage: str = "ResponseComplete") -> None:
    with path.open("a") as file:
        for request in requests:
            verb, resource = request.split()
            event = {"verb": verb, "stage": stage, "userAgent": agent, "objectRef": {"resource": resource}}
            file.write(json.dumps(event) + "\n")


def test_requests_are_counted_per_client_from_now_on_without_watches_and_leases(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(log, "patch services")
    audit = Audit(log)
    write(log, "patch services", "list pods", "watch pods", "update leases", "create events")
    write(log, "patch services", agent="somebody")
    write(log, "patch services", stage="ResponseStarted")
    found = audit.requests("kopf-sdk")
    assert found == {"patch services": 1, "list pods": 1}
    assert writes(found) == 1


def test_a_log_that_was_renamed_is_read_on(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(log, "patch old")
    audit = Audit(log)
    write(log, "patch first")
    log.rename(tmp_path / "audit-2026-01-01.log")
    os.utime(tmp_path / "audit-2026-01-01.log", (1, 1))
    write(log, "patch second")
    assert audit.requests("kopf-sdk") == {"patch first": 1, "patch second": 1}
