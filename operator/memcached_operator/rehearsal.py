"""A pod that tries an image and arguments on a node, before a memcached that serves there is stopped for them.

It pulls the image, starts memcached with the arguments of the template, asks it as the probe does, and ends with its
version as the termination message. So what cannot work is known while nothing was touched yet.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kopf_sdk.runtime import ApiError, Request
from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.changes import Change, Outcome
from memcached_operator.diagnosis import Problem, diagnose
from memcached_operator.kinds import POD
from memcached_operator.paths import CONFIG_PATH
from memcached_operator.rollout import INTERRUPTING, Rollout, holds_items
from memcached_operator.scripts import REHEARSAL_FILE
from memcached_operator.template import ARGUMENTS, CONTAINER, difference

__all__ = ["REFUSED", "Verdict", "before_replacing", "labels", "pod_name", "rehearsal", "rehearse", "tidy", "verdict"]

REFUSED = "RehearsalRefused"
"""Reason of a problem: it could not be tried, which says nothing about what was to be tried."""
_LOOK_AGAIN = 1.0
_MENDED = 15.0
"""Seconds until something that only people can mend is looked at again."""
_REQUESTS = {"cpu": "1m", "memory": "16Mi"}
"""What it takes to start with an empty cache; it is there for two seconds."""
_TRY_AGAIN = dt.timedelta(seconds=60)
"""A node may have had no room for it."""


@dataclass(frozen=True)
class Verdict:
    """What a rehearsal showed: nothing yet, a version that works, or what went wrong."""

    version: str | None = None
    problem: Problem | None = None


def labels(memcached: Memcached) -> dict[str, str]:
    """Return the labels of rehearsals, which are none of the cache's pods."""
    return naming.selector(memcached) | {"app.kubernetes.io/name": "memcached-rehearsal"}


def pod_name(memcached: Memcached, node: str, template: Mapping[str, Any]) -> str:
    """Return the name of the rehearsal for this template on a node: the same question has the same name."""
    question = json.dumps([node, _image(template), template["metadata"]["annotations"].get(ARGUMENTS)])
    return f"{memcached.metadata.name}-rehearsal-{hashlib.sha256(question.encode()).hexdigest()[:8]}"


def rehearsal(memcached: Memcached, node: str, template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod: memcached's container as in the template, with another command and a memory file on disk."""
    spec = copy.deepcopy(template["spec"])
    container = next(found for found in spec["containers"] if found["name"] == CONTAINER)
    for name in ("readinessProbe", "livenessProbe", "startupProbe", "ports"):
        container.pop(name, None)
    container["command"] = ["sh", f"{CONFIG_PATH}/{REHEARSAL_FILE}"]
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    limits = (container.get("resources") or {}).get("limits") or {}
    container["resources"] = {"requests": _REQUESTS, "limits": limits}
    volumes = _volumes(spec, container)
    kept = ("automountServiceAccountToken", "enableServiceLinks", "imagePullSecrets", "securityContext", "tolerations")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(memcached, node, template),
            "namespace": memcached.metadata.namespace,
            "labels": labels(memcached),
            "annotations": {ARGUMENTS: template["metadata"]["annotations"][ARGUMENTS]},
            "ownerReferences": [
                {
                    "apiVersion": memcached.definition.api_version,
                    "kind": memcached.definition.kind,
                    "name": memcached.metadata.name,
                    "uid": memcached.metadata.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {name: spec[name] for name in kept if name in spec}
        | {
            "nodeName": node,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": volumes,
        },
    }


def verdict(pod: Mapping[str, Any]) -> Verdict:
    """Return what the rehearsal shows so far."""
    status = pod.get("status", {})
    ended: dict[str, Any] = {}
    for container in status.get("containerStatuses", []):
        ended = container.get("state", {}).get("terminated") or {}
    message = str(ended.get("message") or status.get("message") or "").strip()
    image = pod["spec"]["containers"][0]["image"]
    match status.get("phase"):
        case "Succeeded":
            version = message.rpartition(" ")[2]
            if version[:1].isdigit():
                return Verdict(version=version)
            return Verdict(problem=Problem(REFUSED, f"memcached of {image} does not say its version: {message!r}"))
        case "Failed":
            if not ended:  # the kubelet did not take it in
                words = message or status.get("reason") or "the kubelet does not say why"
                return Verdict(problem=Problem(REFUSED, f"pod {pod['metadata']['name']}: {words}"))
            reason = ended.get("reason") or "Failed"
            last = "; ".join(message.splitlines()[-2:]) or f"exit code {ended.get('exitCode')}"
            return Verdict(problem=Problem("RehearsalFailed", f"memcached of {image} does not start: {reason}: {last}"))
    for problem in diagnose([dict(pod)]):
        return Verdict(problem=problem)
    return Verdict()


async def rehearse(request: Request[Memcached], node: str, template: Mapping[str, Any]) -> Verdict:
    """Return what the rehearsal on this node showed; make it when there is none."""
    memcached = request.resource
    wanted = rehearsal(memcached, node, template)
    found = request.get(POD, wanted["metadata"]["name"])
    if found is None:
        try:
            await request.client.request("POST", POD.path(request.namespace), body=wanted)
        except ApiError as error:
            if error.status in (403, 422):
                return Verdict(problem=Problem(REFUSED, f"{wanted['metadata']['name']}: {error.message}"))
            if error.status != 409:  # it exists, and the watch is late
                raise
        return Verdict()
    seen = verdict(found)
    if seen.problem and found["status"].get("phase") in ("Failed", "Succeeded") and _age(found) > _TRY_AGAIN:
        await request.delete(found, grace_seconds=0)
    return seen


async def before_replacing(change: Change) -> Outcome | None:
    """Return what to wait for before a pod with items may go; None when there is nothing.

    Tried is what else would be found out by the new pod alone: another image, other arguments. Where it cannot be
    tried (a quota has no room for one more pod, the image has no shell), the new pod is the trial.
    """
    pod, template = change.pod, change.stateful_set["spec"]["template"]
    missing, node = difference(pod, change.stateful_set), pod["spec"].get("nodeName")
    if not (missing.image or missing.arguments) or not node or not holds_items(pod):
        return None
    if change.request.resource.spec.probes.type == "tcp":
        return None
    shown = await rehearse(change.request, str(node), template)
    if shown.version is not None or (shown.problem and shown.problem.reason == REFUSED):
        return None
    note = f"pod {change.step.name}: trying {_image(template)} on its node first"
    return Outcome(wait=_MENDED if shown.problem else _LOOK_AGAIN, problem=shown.problem, note=note)


async def tidy(request: Request[Memcached], progress: Rollout, stateful_set: Mapping[str, Any] | None) -> None:
    """Delete rehearsals of other templates, and of nodes where nothing is ahead any more."""
    memcached = request.resource
    ahead = [step.pod["spec"].get("nodeName") for step in progress.planned if step.kind in INTERRUPTING]
    template = (stateful_set or {}).get("spec", {}).get("template")
    wanted = {pod_name(memcached, str(node), template) for node in ahead} if template else set()
    for pod in request.list(POD, label_selector=labels(memcached)):
        if pod["metadata"]["name"] not in wanted and "deletionTimestamp" not in pod["metadata"]:
            await request.delete(pod, grace_seconds=0)


def _volumes(spec: Mapping[str, Any], container: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pod's volumes with folders on the node's disk in place of the memory file's, and of claims."""
    found = [
        {"name": volume["name"], "emptyDir": {}} if volume["name"] == "cache" or "ephemeral" in volume else volume
        for volume in spec["volumes"]
    ]
    there = {volume["name"] for volume in found}
    mounts = [str(mount["name"]) for mount in container.get("volumeMounts", ())]
    return found + [{"name": name, "emptyDir": {}} for name in dict.fromkeys(mounts) if name not in there]


def _age(pod: Mapping[str, Any]) -> dt.timedelta:
    return dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


def _image(template: Mapping[str, Any]) -> str:
    return next(str(found["image"]) for found in template["spec"]["containers"] if found["name"] == CONTAINER)
