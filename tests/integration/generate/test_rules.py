"""Every rule in CEL, by one resource that it lets pass and one that it refuses: the API server alone checks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration.generate.conftest import Send
from kopf_sdk.api import CustomResource
from kopf_sdk.generate import crd_manifests
from memcached_operator.api.v1alpha1 import Memcached
from unit.generate.rows import Everything

Install = Callable[[dict[str, Any]], dict[str, Any]]

# Kind, message of the rule, a spec that passes, a spec that is refused.
CASES: list[tuple[type[CustomResource], str, dict[str, Any], dict[str, Any]]] = [
    (Everything, "low must not be above high", {"limits": {"low": 10}}, {"limits": {"low": 11}}),
    (
        Everything,
        "exactly one of file, url must be set",
        {"backend": {"file": "f"}},
        {"backend": {"file": "f", "url": "u"}},
    ),
    (Everything, "exactly one of file, url must be set", {"backend": {"url": "u"}}, {"backend": {}}),
    (
        Everything,
        "at most one of left, right may be set",
        {"direction": {"up": True}},
        {"direction": {"up": True, "left": True, "right": True}},
    ),
    (
        Everything,
        "at least one of up, down must be set",
        {"direction": {"up": True, "down": True}},
        {"direction": {"left": True}},
    ),
    (Everything, "no thirteen", {"ruled": [12, 14]}, {"ruled": [12, 13]}),
    (Everything, "the number is too large", {"ruled": [99]}, {"ruled": [100]}),
    (Everything, "a number is too large", {"ruled": [1, 99]}, {"ruled": [1, 100]}),
    (Everything, "only grows", {"grows": 0}, {"grows": -1}),
    (Memcached, "memory must be between 8Mi and 1Ti", {"memory": "8Mi"}, {"memory": "7Mi", "maxItemSize": "1Ki"}),
    (Memcached, "memory must be between 8Mi and 1Ti", {"memory": "1Ti"}, {"memory": "1025Gi"}),
    (
        Memcached,
        "maxItemSize must be at least 1Ki and at most half of memory",
        {"maxItemSize": "32Mi"},
        {"maxItemSize": "33Mi"},
    ),
    (
        Memcached,
        "maxItemSize must be at least 1Ki and at most half of memory",
        {"maxItemSize": "1Ki"},
        {"maxItemSize": "1000"},
    ),
    (
        Memcached,
        "maxConnections must be at least 5 × threads + 32: memcached may open so many files and no more, and every "
        "thread takes five",
        {"maxConnections": 112, "threads": 16},
        {"maxConnections": 111, "threads": 16},
    ),
    (
        Memcached,
        "resources.limits.memory cannot hold memory: it takes memory × 1.1 + 4Mi per thread + 24Mi, and 24Mi more with "
        "extstore",
        {"resources": {"limits": {"memory": "111Mi"}}},
        {"resources": {"limits": {"memory": "110Mi"}}},
    ),
    (
        Memcached,
        "resources.limits.memory cannot hold memory: it takes memory × 1.1 + 4Mi per thread + 24Mi, and 24Mi more with "
        "extstore",
        {"resources": {"limits": {"memory": "135Mi"}}, "extstore": {"size": "1Gi"}},
        {"resources": {"limits": {"memory": "134Mi"}}, "extstore": {"size": "1Gi"}},
    ),
    (
        Memcached,
        "warmRestart needs a shell in the image, which stops and starts memcached: probes.type must be protocol",
        {"warmRestart": {"enabled": True}},
        {"warmRestart": {"enabled": True}, "probes": {"type": "tcp"}},
    ),
    (
        Memcached,
        "warmRestart takes a memory of at least 64Mi: with it memcached starts with a page of 1Mi for every slab class",
        {"warmRestart": {"enabled": True}, "memory": "64Mi"},
        {"warmRestart": {"enabled": True}, "memory": "63Mi"},
    ),
    (
        Memcached,
        "extstore and warmRestart exclude each other: memcached cannot keep what is on disk over a restart",
        {"extstore": {"size": "1Gi"}, "warmRestart": {"enabled": False}},
        {"extstore": {"size": "1Gi"}, "warmRestart": {"enabled": True}},
    ),
    (
        Memcached,
        "maxItemSize can be at most 4Mi with extstore: memcached writes through buffers of that size",
        {"extstore": {"size": "1Gi"}, "maxItemSize": "4Mi"},
        {"extstore": {"size": "1Gi"}, "maxItemSize": "5Mi"},
    ),
    (
        Memcached,
        "extstore.size must be at least 256Mi: memcached writes pages of 64Mi and needs some to compact",
        {"extstore": {"size": "256Mi"}},
        {"extstore": {"size": "255Mi"}},
    ),
    (
        Memcached,
        "storageClassName is for the volumes ephemeral and claim: an emptyDir has none",
        {"extstore": {"size": "1Gi", "volume": "ephemeral", "storageClassName": "fast"}},
        {"extstore": {"size": "1Gi", "storageClassName": "fast"}},
    ),
    (
        Memcached,
        "retention is for the volume claim: others go with their pod",
        {"extstore": {"size": "1Gi", "volume": "claim", "retention": {"whenScaled": "Retain"}}},
        {"extstore": {"size": "1Gi", "volume": "ephemeral", "retention": {}}},
    ),
    (
        Memcached,
        "tls.port and containerPort must differ",
        {"tls": {"secretName": "s", "plainPort": True}},
        {"tls": {"secretName": "s", "plainPort": True, "port": 11211}},
    ),
    (
        Memcached,
        "operatorSecretName is needed where client certificates are required: the operator is a client too",
        {"tls": {"secretName": "s", "clientCertificates": "require", "operatorSecretName": "o"}},
        {"tls": {"secretName": "s", "clientCertificates": "require"}},
    ),
    (
        Memcached,
        "sets what the operator decides from other fields: use containerPort, memory, maxConnections, threads, "
        "maxItemSize, verbosity, tls, auth, extstore or warmRestart instead",
        {"extraArgs": ["-R", "20", "-o", "slab_reassign"]},
        {"extraArgs": ["-m", "64"]},
    ),
    (
        Memcached,
        "the binary protocol, SASL, UDP, Unix sockets, daemons and other users are not offered: clients connect by TCP "
        "and log in by auth, in the text protocol",
        {"extraArgs": ["-F", "--extended=no_hashexpand"], "auth": {"secretName": "s"}},
        {"extraArgs": ["--protocol=binary"], "auth": {"secretName": "s"}},
    ),
    (
        Memcached,
        "metrics.port must differ from the ports of memcached",
        {"metrics": {"enabled": True, "port": 9150}},
        {"metrics": {"enabled": True, "port": 11211}},
    ),
    (
        Memcached,
        "minSize must not be above maxSize",
        {"autoscaling": {"minSize": 2, "maxSize": 2}},
        {"autoscaling": {"minSize": 3, "maxSize": 2}},
    ),
]

# Rules of the kind itself: kind, message, a name that passes, a name that is refused.
NAMES = [
    (Everything, "the name is too long", "n" * 50, "n" * 51),
    (
        Memcached,
        "metadata.name: at most 52 characters, because pods and revisions are named after it",
        "n" * 52,
        "n" * 53,
    ),
    (
        Memcached,
        "metadata.name: lower-case letters, digits and '-', starting with a letter (DNS-1035), because Services are "
        "named after it",
        "a-1",
        "1-a",
    ),
]


@pytest.fixture(scope="module")
def create(send: Send, install: Install) -> Callable[..., tuple[int, Any]]:
    paths: dict[type[CustomResource], str] = {}
    for kind in (Everything, Memcached):
        crd = crd_manifests([kind])[0]
        group = f"rules.{kind.definition.group}"
        crd["spec"]["group"], crd["metadata"]["name"] = group, f"{kind.definition.plural}.{group}"
        install(crd)
        place = "" if kind.definition.scope == "Cluster" else "namespaces/default/"
        paths[kind] = f"/apis/{group}/{kind.definition.version}/{place}{kind.definition.plural}"

    def create(kind: type[CustomResource], spec: dict[str, Any], name: str = "example", dry_run: bool = True) -> Any:
        group = f"rules.{kind.definition.group}"
        head = {"apiVersion": f"{group}/{kind.definition.version}", "kind": kind.__name__, "metadata": {"name": name}}
        required = {"text": "x"} if kind is Everything else {}
        return send("POST", paths[kind] + ("?dryRun=All" if dry_run else ""), head | {"spec": required | spec})

    return create


@pytest.mark.parametrize(("kind", "message", "good", "bad"), CASES)
def test_rule(
    create: Callable[..., Any], kind: type[CustomResource], message: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    code, answer = create(kind, good)
    assert code == 201, answer["message"]
    code, answer = create(kind, bad)
    assert code == 422
    assert any(cause["message"].endswith(message) for cause in causes(answer)), causes(answer)


@pytest.mark.parametrize(("kind", "message", "good", "bad"), NAMES)
def test_rule_of_the_name(
    create: Callable[..., Any], kind: type[CustomResource], message: str, good: str, bad: str
) -> None:
    code, answer = create(kind, {}, name=good)
    assert code == 201, answer["message"]
    code, answer = create(kind, {}, name=bad)
    assert code == 422
    assert any(cause["message"].endswith(message) for cause in causes(answer))


def test_transition_rules(create: Callable[..., Any], send: Send) -> None:
    code, created = create(Everything, {"fixed": "first", "grows": 5}, name="transition", dry_run=False)
    assert code == 201, created["message"]
    path = f"/apis/rules.{Everything.definition.group}/v1/everythings/transition"

    def patch(spec: dict[str, Any]) -> tuple[int, Any]:
        return send("PATCH", path + "?dryRun=All", {"spec": spec}, "application/merge-patch+json")

    assert patch({"fixed": "first", "grows": 6})[0] == 200
    code, answer = patch({"fixed": "second"})
    assert (code, [cause["field"] for cause in causes(answer)]) == (422, ["spec.fixed"])
    code, answer = patch({"grows": 4})
    assert (code, [cause["field"] for cause in causes(answer)]) == (422, ["spec.grows"])


CLAIM = {"size": "1Gi", "volume": "claim", "storageClassName": "fast"}
IMMUTABLE_CLAIM = (
    "extstore cannot change where its volume is, or becomes, a claim, because the claims of a StatefulSet are "
    "immutable (retention can): use another Memcached"
)


def test_what_a_stateful_set_makes_claims_of_is_immutable(create: Callable[..., Any], send: Send) -> None:
    def patched(name: str, spec: dict[str, Any]) -> list[str]:
        """Return what the API server says to a change."""
        path = f"/apis/rules.{Memcached.definition.group}/v1alpha1/namespaces/default/memcacheds/{name}?dryRun=All"
        code, answer = send("PATCH", path, {"spec": spec}, "application/merge-patch+json")
        return [] if code == 200 else [str(cause["message"]) for cause in causes(answer)]

    for name, spec in {"claimed": {"extstore": CLAIM}, "plain": {"extstore": {"size": "1Gi"}}}.items():
        code, created = create(Memcached, spec, name=name, dry_run=False)
        assert code == 201, created["message"]
    assert patched("claimed", {"size": 3, "extstore": CLAIM | {"retention": {"whenScaled": "Retain"}}}) == []
    assert patched("plain", {"extstore": {"size": "2Gi", "volume": "ephemeral"}}) == []
    assert patched("plain", {"extstore": None}) == []
    for change in ({"size": "2Gi"}, {"storageClassName": None}, {"volume": "ephemeral"}):
        assert any(IMMUTABLE_CLAIM in words for words in patched("claimed", {"extstore": CLAIM | change})), change
    assert any(IMMUTABLE_CLAIM in words for words in patched("claimed", {"extstore": None}))
    assert any(IMMUTABLE_CLAIM in words for words in patched("plain", {"extstore": CLAIM}))


def test_no_rule_is_left_out() -> None:
    tested = {(kind, message) for kind, message, *_ in CASES} | {(kind, message) for kind, message, *_ in NAMES}
    tested.add((Memcached, IMMUTABLE_CLAIM))
    for kind in (Everything, Memcached):
        schema = crd_manifests([kind])[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        messages = {rule["message"] for rule in rules(schema) if "message" in rule}
        assert messages - {message for owner, message in tested if owner is kind} - {"is immutable"} == set()


def rules(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for value in node.values():
            yield from rules(value)


def causes(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return list(answer["details"]["causes"])
