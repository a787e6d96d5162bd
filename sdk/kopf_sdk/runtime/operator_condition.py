"""What the operator tells OLM: whether this is a good moment to replace it with another version.

OLM puts the name of an OperatorCondition (operators.coreos.com/v2) into the environment variable
OPERATOR_CONDITION_NAME, and makes a Role and a RoleBinding that let the operator get, update and patch this one object,
so no chart has to. The operator writes `spec.conditions`; OLM copies them to the status, and keeps the CSV that
replaces ours Pending (OperatorConditionNotUpgradeable) for as long as `Upgradeable` is False. An administrator
overrides it with `spec.overrides`. See https://olm.operatorframework.io/docs/advanced-tasks/communicating-operator-conditions-to-olm/
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kopf_sdk.runtime.cache import Change, Entry, Store
from kopf_sdk.runtime.client import MERGE_PATCH, Client
from kopf_sdk.runtime.errors import ApiError, ConflictError, LeadershipLostError
from kopf_sdk.runtime.kinds import Kind, Manifest

__all__ = ["Hold", "UpgradeGuard", "upgradeable", "with_condition"]

OPERATOR_CONDITION = Kind("operators.coreos.com/v2", "OperatorCondition")
UPGRADEABLE = "Upgradeable"
SEVERAL = "ChangesUnderWay"
NAMED = 3
"""Resources that the message names; the others are counted."""
CHECK_SECONDS = 600.0
"""The object is read again this often, in case somebody else wrote it."""
PAUSE_SECONDS = 2.0
"""Between two writes: what changes in between is told at once."""
LONGEST_RETRY = 60.0

Hold = Callable[[Manifest], str | None]
"""Tells of a resource, as it is in the cache, why the operator should not be replaced now: a word in CamelCase, as
reasons of conditions are. None: nothing speaks against it. Pure and quick: it is called for every change."""

log = logging.getLogger(__name__)


def upgradeable(holds: Mapping[str, str]) -> dict[str, str]:
    """Return the condition that follows from the resources that hold an upgrade: key of the resource to reason."""
    if not holds:
        return {"type": UPGRADEABLE, "status": "True", "reason": "Idle", "message": "No change is under way."}
    named = [f"{key}: {holds[key]}" for key in sorted(holds)[:NAMED]]
    more = f" and {len(holds) - NAMED} more" if len(holds) > NAMED else ""
    reasons = set(holds.values())
    return {
        "type": UPGRADEABLE,
        "status": "False",
        "reason": reasons.pop() if len(reasons) == 1 else SEVERAL,
        "message": f"Wait for {', '.join(named)}{more}.",
    }


def with_condition(
    conditions: Sequence[Mapping[str, Any]], wanted: Mapping[str, str], now: dt.datetime
) -> list[dict[str, Any]] | None:
    """Put a condition in its place among those of other types; None when it is there already, word for word."""
    live = next((condition for condition in conditions if condition.get("type") == wanted["type"]), None)
    if live is not None and all(live.get(field) == value for field, value in wanted.items()):
        return None
    stays = live is not None and live.get("status") == wanted["status"]
    since = live.get("lastTransitionTime") if live is not None and stays else None
    completed = {**wanted, "lastTransitionTime": since or now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if live is None:
        return [*map(dict, conditions), completed]
    return [completed if condition is live else dict(condition) for condition in conditions]


class UpgradeGuard:
    """Keeps the condition `Upgradeable` of one OperatorCondition in step with the resources in the caches.

    Parameters
    ----------
    client
        Gated: only the leader writes.
    namespace, name
        The OperatorCondition that OLM made for this operator.
    """

    def __init__(self, client: Client, *, namespace: str, name: str) -> None:
        self._client = client
        self._path = OPERATOR_CONDITION.path(namespace, name)
        self._holds: dict[str, tuple[str, str]] = {}
        """By UID: the resource's key and its reason."""
        self._changed = asyncio.Event()

    def follow(self, store: Store, hold: Hold) -> None:
        """Ask `hold` about every resource of a cache, now and after every change."""

        def on_change(change: Change) -> None:
            before = self._holds.pop(change.entry.uid, None)
            if change.new is not None and (reason := _asked(hold, change.new)):
                self._holds[change.entry.uid] = (f"{store.source.kind.kind} {change.entry.key}", reason)
            if self._holds.get(change.entry.uid) != before:
                self._changed.set()

        for entry in store:
            on_change(Change(None, entry))
        store.listeners.append(on_change)

    async def run(self) -> None:
        """Write until cancelled; what goes wrong is logged and tried again, and holds up nobody."""
        retry = PAUSE_SECONDS
        while True:
            self._changed.clear()
            try:
                await self._write()
            except ConflictError:
                await asyncio.sleep(PAUSE_SECONDS)
            except (ApiError, LeadershipLostError) as error:
                log.warning("OLM cannot be told whether the operator may be upgraded now: %s", error)
                await asyncio.sleep(retry)
                retry = min(retry * 2, LONGEST_RETRY)
            else:
                retry = PAUSE_SECONDS
                await asyncio.sleep(PAUSE_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):  # not wait_for: see Queue.get
                        await self._changed.wait()

    async def _write(self) -> None:
        live = await self._client.request("GET", self._path)
        wanted = upgradeable(dict(self._holds.values()))
        conditions = with_condition((live.get("spec") or {}).get("conditions") or (), wanted, dt.datetime.now(dt.UTC))
        if conditions is None:
            return
        patch = {
            "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
            "spec": {"conditions": conditions},
        }
        await self._client.request("PATCH", self._path, body=patch, content_type=MERGE_PATCH)
        log.info("told OLM: Upgradeable=%s: %s", wanted["status"], wanted["message"])


def _asked(hold: Hold, entry: Entry) -> str | None:
    if entry.deleting:
        return None
    try:
        return hold(entry.manifest())
    except Exception:
        log.exception("whether %s holds an upgrade could not be found out", entry.key)
        return None
