"""What a pod needs to be like the template: which of it can change while the pod lives, and who asked for it.

The template has four parts. `image` (memcached's), `arguments` and `resources` can change in a living pod, and labels
and annotations anyway; everything else, `rest`, needs a new pod. The pods carry what they have of each part in
annotations, so that comparing does not depend on what the API server or an admission webhook made of a manifest.

The StatefulSet remembers what the resource asked of each part. A part that differs although it is asked the same was
changed by another version of the operator: the template keeps what the pods have, until the resource asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kopf_sdk.api import Quantity
from memcached_operator.api.v1alpha1 import Memcached

__all__ = [
    "ARGUMENTS",
    "CONTAINER",
    "IMAGE",
    "ITEM_MEMORY",
    "REVISION",
    "ROLLOUT",
    "Difference",
    "asked",
    "difference",
    "has_memory_file",
    "held",
    "metadata_patch",
    "resources",
    "same_amounts",
    "settle",
    "stamp",
]

Manifest: TypeAlias = dict[str, Any]

CONTAINER = "memcached"
REVISION = "controller-revision-hash"
"""The label by which the StatefulSet controller knows which template a pod has."""

REST = "cache.example.com/rest"
IMAGE = "cache.example.com/image"
ARGUMENTS = "cache.example.com/arguments"
ITEM_MEMORY = "cache.example.com/item-memory"
"""Memory for items in MiB, where it can change in the running process; the pod reads it when memcached starts."""
GIVEN = "cache.example.com/given"
"""Names of the labels and annotations that the resource added, so that they can be taken off again."""

ASKED = "cache.example.com/asked"
HELD = "cache.example.com/held"
ROLLOUT = "cache.example.com/rollout"
"""On a Memcached: any new value lets the pods have what a newer operator brought."""

_MARKS = {"rest": REST, "image": IMAGE, "arguments": ARGUMENTS, "resources": ITEM_MEMORY}
PARTS = tuple(_MARKS)

FIELDS: Mapping[str, tuple[str, ...]] = {
    "image": ("image",),
    "memory": ("resources",),
    "resources": ("resources",),
    "threads": ("arguments", "resources"),
    "max_connections": ("arguments", "resources"),
    "max_item_size": ("arguments",),
    "verbosity": ("arguments",),
    "extra_args": ("arguments",),
    **dict.fromkeys(
        (
            "size",
            "autoscaling",
            "discovery",
            "network_policy",
            "paused",
            "pod_annotations",
            "pod_disruption_budget",
            "pod_labels",
            "service",
            "update_strategy",
        ),
        (),
    ),
}
"""Which parts of the template a field of the specification asks for; `rest` when it is not here."""
_METRICS_ELSEWHERE = {"serviceMonitor", "prometheusRule"}


@dataclass(frozen=True)
class Difference:
    """What of a pod is not as in the template, beside labels and annotations."""

    rest: bool = False
    image: bool = False
    arguments: bool = False
    resources: bool = False
    item_memory: bool = False
    memory_file: bool = False
    """Whether both keep items in a file, of another size: part of the rest."""

    @property
    def in_place(self) -> bool:
        """Whether the pod can get there while it lives."""
        return not self.rest

    @property
    def metadata_only(self) -> bool:
        """Whether nothing differs but labels and annotations."""
        return not (self.rest or self.image or self.arguments or self.resources or self.item_memory)


def stamp(template: Manifest, memcached: Memcached) -> None:
    """Write into the template's annotations what its pods will be compared by."""
    spec = memcached.spec
    annotations = template["metadata"]["annotations"]
    image = _container(template, CONTAINER)["image"]
    given = {"labels": sorted(spec.pod_labels), "annotations": sorted(spec.pod_annotations)}
    annotations |= {REST: _digest(_rest(template["spec"])), IMAGE: image}
    if any(given.values()):
        annotations[GIVEN] = json.dumps(given, separators=(",", ":"))


def asked(memcached: Memcached) -> dict[str, str]:
    """Return what the resource asks of each part as digests of the fields it gives.

    Defaults do not count: a new field, or one that the API server fills in, asks for nothing.
    """
    given = memcached.spec.model_dump(mode="json", exclude_defaults=True)
    metrics = given.pop("metrics", {})
    asks: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for name, value in given.items():
        for part in FIELDS.get(name, ("rest",)):
            asks[part][name] = value
    asks["resources"]["metrics"] = metrics.pop("resources", None)
    asks["rest"]["metrics"] = {name: value for name, value in metrics.items() if name not in _METRICS_ELSEWHERE}
    if memcached.spec.probes.type == "tcp":  # arguments stand in the template there
        asks["rest"] |= {"arguments": asks["arguments"], "memory": given.get("memory")}
    if memcached.spec.warm_restart.enabled:  # the memory file, and the volume that it is in, have its size
        asks["rest"] |= {"memory": given.get("memory")}
    digests = {part: _digest(ask) for part, ask in asks.items()}
    rollout = memcached.metadata.annotations.get(ROLLOUT, "")
    return digests | ({"rollout": _digest(rollout)} if rollout else {})


def settle(
    wanted: Manifest, live: Manifest | None, memcached: Memcached, *, warm: bool = False, upgrade: bool = False
) -> Manifest:
    """Return the StatefulSet to apply: as wanted, with the live template's parts where only the operator changed them.

    Parameters
    ----------
    wanted
        What this version of the operator would make; its template is stamped.
    live
        The StatefulSet as it is.
    memcached
        The resource, for what it asks.
    warm
        Whether image and arguments change without losing items. If not, a change of them takes everything along,
        because the pods are replaced anyway.
    upgrade
        Whether the pods shall follow every version of the operator (the setting `rollout_on_upgrade`).
    """
    asks = asked(memcached)
    annotations = {ASKED: ",".join(f"{part}={digest}" for part, digest in sorted(asks.items()))}
    wanted["metadata"].setdefault("annotations", {}).update(annotations)
    if live is None or REST not in _annotations(live["spec"]["template"]):
        return wanted
    known = _known(live) or asks  # somebody took the annotation off: no reason to replace anything
    if upgrade or asks.get("rollout", known.get("rollout")) != known.get("rollout"):
        return wanted
    template, before = wanted["spec"]["template"], live["spec"]["template"]
    changed = _changed(template, before)
    own = {part for part in changed if asks[part] != known.get(part)}
    if own & ({"rest"} if warm else {"rest", "image", "arguments"}):
        return wanted
    kept = changed - own
    if kept:
        wanted["metadata"]["annotations"][HELD] = ",".join(sorted(kept))
        _keep(template, before, kept)
    return wanted


def held(stateful_set: Manifest | None) -> list[str]:
    """Return the parts that a newer operator would change and that wait for the resource to ask."""
    return [part for part in _annotations(stateful_set or {}).get(HELD, "").split(",") if part]


def difference(pod: Manifest, stateful_set: Manifest) -> Difference:
    """Compare a pod with the template."""
    template = stateful_set["spec"]["template"]
    have, want = _annotations(pod), _annotations(template)
    return Difference(
        rest=have.get(REST) != want.get(REST),
        image=have.get(IMAGE) != want.get(IMAGE),
        arguments=have.get(ARGUMENTS) != want.get(ARGUMENTS),
        resources=not same_amounts(resources(template), resources(pod)),
        item_memory=have.get(ITEM_MEMORY) != want.get(ITEM_MEMORY),
        memory_file=len({size for size in (_file_size(pod), _file_size(template)) if size}) == 2,
    )


def has_memory_file(pod: Manifest) -> bool:
    """Tell whether memcached keeps its items in a file in the pod's memory."""
    return _file_size(pod) is not None


def metadata_patch(pod: Manifest, stateful_set: Manifest) -> Manifest:
    """Return the merge patch that gives a pod the template's labels and annotations, and the label of its revision.

    Whoever sends it says that the pod is as the template wants it.
    """
    template = stateful_set["spec"]["template"]["metadata"]
    given = json.loads(_annotations(pod).get(GIVEN, "{}"))
    patch: Manifest = {}
    for field in ("labels", "annotations"):
        want, have = template.get(field) or {}, pod["metadata"].get(field) or {}
        gone = dict.fromkeys(name for name in given.get(field, ()) if name in have and name not in want)
        patch[field] = gone | {name: value for name, value in want.items() if have.get(name) != value}
    if GIVEN in _annotations(pod) and GIVEN not in (template.get("annotations") or {}):
        patch["annotations"][GIVEN] = None
    patch["labels"][REVISION] = stateful_set["status"]["updateRevision"]
    return {"metadata": patch}


def resources(pod: Manifest) -> dict[str, Manifest]:
    """Return requests and limits by container, of a pod or a template."""
    return {container["name"]: container.get("resources") or {} for container in pod["spec"]["containers"]}


def same_amounts(wanted: Mapping[str, Manifest], given: Mapping[str, Manifest]) -> bool:
    """Tell whether all wanted amounts are given; others (a namespace's default limits) may be there too."""
    return all(
        name in given.get(container, {}).get(kind, {}) and Quantity(given[container][kind][name]) == Quantity(amount)
        for container, amounts in wanted.items()
        for kind in ("requests", "limits")
        for name, amount in (amounts.get(kind) or {}).items()
    )


def _changed(wanted: Manifest, live: Manifest) -> set[str]:
    want, have = _annotations(wanted), _annotations(live)
    found = {part for part, name in _MARKS.items() if part != "resources" and want[name] != have.get(name)}
    same = same_amounts(resources(wanted), resources(live)) and want.get(ITEM_MEMORY) == have.get(ITEM_MEMORY)
    return found if same else found | {"resources"}


def _file_size(pod: Manifest) -> str | None:
    """Return the size of the volume for memcached's memory file; None without one."""
    for volume in pod.get("spec", {}).get("volumes", ()):
        if volume["name"] == "cache":
            size = (volume.get("emptyDir") or {}).get("sizeLimit")
            return str(size) if size else None
    return None


def _keep(template: Manifest, live: Manifest, parts: Iterable[str]) -> None:
    """Put these parts of the live template into the other one."""
    new = template["spec"]
    if "rest" in parts:
        template["spec"] = json.loads(json.dumps(live["spec"]))
        for container in template["spec"]["containers"]:
            ours = next((item for item in new["containers"] if item["name"] == container["name"]), container)
            container["resources"] = ours.get("resources") or {}
            if container["name"] == CONTAINER:
                container["image"] = ours["image"]
    before = {container["name"]: container for container in live["spec"]["containers"]}
    for container in template["spec"]["containers"]:
        if "image" in parts and container["name"] == CONTAINER:
            container["image"] = before[CONTAINER]["image"]
        if "resources" in parts and container["name"] in before:
            container["resources"] = before[container["name"]].get("resources") or {}
    for part in parts:
        name, value = _MARKS[part], _annotations(live).get(_MARKS[part])
        template["metadata"]["annotations"].pop(name, None)
        if value is not None:
            template["metadata"]["annotations"][name] = value


def _rest(spec: Manifest) -> Manifest:
    """Return the pod's specification without what can change in place."""
    containers = [
        {
            name: value
            for name, value in container.items()
            if name != "resources" and not (name == "image" and container["name"] == CONTAINER)
        }
        for container in spec["containers"]
    ]
    return spec | {"containers": containers}


def _known(live: Manifest | None) -> dict[str, str]:
    text = _annotations(live or {}).get(ASKED, "")
    return dict(item.split("=", 1) for item in text.split(",") if "=" in item)


def _annotations(manifest: Mapping[str, Any]) -> dict[str, str]:
    return manifest.get("metadata", {}).get("annotations") or {}


def _container(template: Manifest, name: str) -> Manifest:
    found: Manifest = next(container for container in template["spec"]["containers"] if container["name"] == name)
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
