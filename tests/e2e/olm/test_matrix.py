"""Our operator under OLM: install modes, approval, upgrades, versions that are skipped or bad, removal."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby, pairwise
from typing import Any

import pytest

from e2e.olm.installation import ALL, Installation, Requests
from e2e.olm.packages import BAD, DEPLOYMENT, HOOKS_NEW, HOOKS_OLD, NEW, NEWER, OLD, PACKAGE, csv
from e2e.operator.conftest import Cache
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import KubectlError
from waiting import eventually

pytestmark = pytest.mark.node

MOST_REFUSED_SECONDS = 30.0
"""How long, in all, webhooks may be out of reach while OLM replaces one version with another: a few seconds, as long as
a pod takes to start, on a machine that has nothing else to do."""


MOST_LEADERLESS = dt.timedelta(seconds=15)
"""What a lease lasts: whoever waits for a leader that is gone would wait longer."""
METRICS = "https://127.0.0.1:8443/metrics"


def looks_after(installation: Installation, requests: Requests, targets: list[str]) -> None:
    """The pod watches all it has to in these namespaces, and does nothing anywhere else."""
    pod = installation.pod()
    wanted = set(targets) or {""}
    kinds = ("memcacheds", "statefulsets", "pods", "secrets", "services")
    eventually(lambda: {(plural, namespace) for plural in kinds for namespace in wanted} <= requests.watched(pod))
    eventually(lambda: installation.leader().startswith(f"{pod}_"))
    if targets:
        assert requests.namespaces(pod) <= wanted
        assert not installation.may("list", "secrets", "default")
    assert not requests.refused(pod)


def test_install_modes_follow_the_operator_group(installation: Installation) -> None:
    """Own, Single, Multi and AllNamespaces, one after the other, by editing the OperatorGroup."""
    cluster, own = installation.cluster, installation.namespace
    other, third = (neighbour(installation, letter) for letter in "ab")
    caches = {namespace: Cache(cluster, namespace) for namespace in (own, other, third)}
    targets: list[str] = [own]
    requests = Requests(cluster.audit_log)
    proxy = {"HTTPS_PROXY": "http://proxy.invalid:3128", "HTTP_PROXY": "http://proxy.invalid:3128"}
    installation.install(targets, OLD, "old", env=proxy)
    for cache in caches.values():
        cache.apply(size=0)
    looks_after(installation, requests, targets)
    for targets in ([other], [other, third], ALL):
        requests = Requests(cluster.audit_log)
        installation.target(targets)
        eventually(lambda wanted=targets: targeted(installation) == [",".join(wanted)])  # type: ignore[misc]
        installation.succeed(OLD)
        looks_after(installation, requests, targets)
        expected = {own, *targets} if targets else set(caches)
        eventually(lambda wanted=expected: served(caches) == wanted)  # type: ignore[misc]
    assert "proxy.invalid" in json.dumps(installation.pods())
    metrics_are_for_whom_the_bundles_role_is_bound_to(installation)


def served(caches: dict[str, Cache]) -> set[str]:
    """Namespaces whose cache has been looked after."""
    return {namespace for namespace, cache in caches.items() if cache.resource().get("status")}


def targeted(installation: Installation) -> list[str]:
    return [pod["metadata"]["annotations"]["olm.targetNamespaces"] for pod in installation.pods()]


def neighbour(installation: Installation, letter: str) -> str:
    """Another namespace; it goes with the cluster."""
    name = f"{installation.namespace}-{letter}"
    if installation.cluster.kubectl("get", "namespace", name, "--ignore-not-found"):
        installation.cluster.kubectl("--namespace", name, "delete", "memcacheds", "--all")
    else:
        installation.cluster.create_namespace(name)
    return name


@pytest.mark.full
@pytest.mark.parametrize("mode", ["own", "single", "multi", "all"])
def test_every_install_mode_from_the_start(installation: Installation, mode: str) -> None:
    own = installation.namespace
    other, third = (neighbour(installation, letter) for letter in "ab")
    targets = {"own": [own], "single": [other], "multi": [other, third], "all": ALL}[mode]
    requests = Requests(installation.cluster.audit_log)
    installation.install(targets, OLD, "old")
    looks_after(installation, requests, targets)


def identities(cache: Cache) -> dict[str, tuple[str, str, int]]:
    """What must stay of every pod: its UID, its start, its restarts."""
    return {
        name: (
            pod["metadata"]["uid"],
            pod["status"]["startTime"],
            sum(status["restartCount"] for status in pod["status"]["containerStatuses"]),
        )
        for name, pod in cache.pods().items()
    }


def filled(installation: Installation, **spec: Any) -> Cache:
    """A cache with a key in it."""
    cache = Cache(installation.cluster, installation.namespace)
    eventually(lambda: admitted(cache, **{"size": 1, "memory": "16Mi", **spec}))
    cache.settle()
    assert cache.ask("set greeting 0 0 5\r\nhello") == ["STORED"]
    return cache


def certificate_is_of(installation: Installation, version: str) -> bool:
    secrets = installation.find("secret", f"{DEPLOYMENT}-service-cert")
    return any(owner["name"] == csv(version) for item in secrets for owner in item["metadata"]["ownerReferences"])


def one_leader(requests: Requests, installation: Installation, first: str) -> None:
    """Pods led one after the other, there always was one, and nobody else changed anything."""
    renewals = requests.in_turn(installation.namespace, leases=True)
    leaders = [pod for pod, _ in groupby(pod for _, pod in renewals)]
    assert leaders[0] == first
    assert len(leaders) == len(set(leaders)) > 1
    times = [time for time, _ in renewals]
    assert max(after - before for before, after in pairwise(times)) < MOST_LEADERLESS
    changed = [pod for pod, _ in groupby(pod for _, pod in requests.in_turn(installation.namespace, leases=False))]
    assert changed[-1] == leaders[-1]
    assert changed == [pod for pod in leaders if pod in changed]


def admitted(cache: Cache, **spec: Any) -> bool:
    """Apply it, unless the webhooks are out of reach."""
    try:
        cache.apply(**spec)
    except KubectlError as error:
        if "failed calling webhook" in error.message:
            return False
        raise
    return True


def pretend(cache: Cache, reason: str) -> None:
    """Have the status say that something is under way, until the resource is reconciled for another reason."""
    conditions = cache.resource()["status"]["conditions"]
    for condition in conditions:
        if condition["type"] == "Progressing":
            condition |= {"status": "True", "reason": reason}
    patch = json.dumps({"status": {"conditions": conditions}})
    cache.kubectl("patch", "memcached", cache.name, "--subresource=status", "--type=merge", f"--patch={patch}")


class Admission:
    """Asks for the admission of a Memcached again and again, and counts who does not get it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._body = {
            "apiVersion": "cache.example.com/v1alpha1",
            "kind": "Memcached",
            "metadata": {"name": "asked"},
            "spec": {"size": 1},
        }
        self.answers: list[tuple[float, int, str]] = []
        """Time, HTTP status and message."""

    def ask(self) -> int:
        path = f"/apis/cache.example.com/v1alpha1/namespaces/{self._namespace}/memcacheds?dryRun=All"
        code, answer = self._cluster.api.request("POST", path, self._body)
        self.answers.append((time.monotonic(), code, str(answer.get("message", ""))))
        return code

    @contextmanager
    def asking(self) -> Iterator[None]:
        stop = threading.Event()

        def ask() -> None:
            while not stop.wait(0.1):
                self.ask()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def refused_seconds(self) -> float:
        """For how long, in all, there was no admission."""
        return sum(after[0] - before[0] for before, after in pairwise(self.answers) if before[1] != 201)


def test_an_approved_upgrade_waits_for_the_operator_and_is_not_noticed_by_caches(installation: Installation) -> None:
    cluster = installation.cluster
    installation.install([installation.namespace], HOOKS_OLD, "hooks", manual=True)
    cache = filled(installation)
    before, first = identities(cache), installation.pod()
    admission = Admission(cluster, installation.namespace)

    assert not installation.plan(HOOKS_NEW)["spec"]["approved"]
    eventually(lambda: installation.upgradeable(HOOKS_OLD).startswith("True"))
    pretend(cache, "Resizing")
    eventually(lambda: installation.upgradeable(HOOKS_OLD).startswith("False Resizing"))
    requests = Requests(cluster.audit_log)
    with admission.asking():
        installation.approve(HOOKS_NEW)
        eventually(lambda: "OperatorConditionNotUpgradeable" in installation.phase(HOOKS_NEW))
        assert f"{installation.namespace}/cache: Resizing" in installation.phase(HOOKS_NEW)
        assert installation.pod() == first
        cache.kubectl("annotate", "memcached", "cache", "looked-at=again")
        eventually(lambda: installation.upgradeable(HOOKS_OLD).startswith("True"))
        installation.succeed(HOOKS_NEW)
        # The certificate goes with the old version, OLM makes another one and replaces the pod once more.
        eventually(lambda: certificate_is_of(installation, HOOKS_NEW))
        installation.succeed(HOOKS_NEW)
        eventually(lambda: installation.leader().startswith(f"{installation.pod()}_"))
        eventually(lambda: admitted(cache, size=1, memory="16Mi", podLabels={"upgraded": "yes"}))
        cache.settle()
    assert identities(cache) == before
    assert cache.ask("get greeting")[1] == "hello"
    one_leader(requests, installation, first)
    refused = [message for _, code, message in admission.answers if code != 201]
    print(f"{len(refused)} of {len(admission.answers)} refused, {admission.refused_seconds():.1f} s: {set(refused)}")
    assert admission.refused_seconds() < MOST_REFUSED_SECONDS, refused
    eventually(lambda: admission.ask() == 201)
    eventually(lambda: not installation.find("csv", csv(HOOKS_OLD)))


def test_olm_hears_of_changes_that_must_not_be_interrupted(installation: Installation) -> None:
    """A memory resize, a rotation of users and a warm restart, each with what OLM was told; and OLM's own view."""
    installation.install([installation.namespace], OLD, "old")
    users = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "users", "namespace": installation.namespace}}
    installation.cluster.apply(json.dumps({**users, "stringData": {"alice": "a"}}))
    cache, warm = (Cache(installation.cluster, installation.namespace, name) for name in ("cache", "warm"))
    cache.apply(size=1, memory="16Mi", auth={"secretName": "users"})
    warm.apply(size=1, warmRestart={"enabled": True})
    cache.settle()
    warm.settle()
    before = identities(cache)
    eventually(lambda: installation.upgradeable(OLD).startswith("True Idle"))

    cache.apply(size=1, memory="24Mi", auth={"secretName": "users"})
    cache.settle()
    installation.cluster.apply(json.dumps({**users, "stringData": {"alice": "a", "bob": "b"}}))
    # A rotation may be over sooner than it can be looked for in OLM's own object.
    eventually(lambda: any(words.startswith("False") and "Rotating" in words for words in installation.told()))
    cache.settle()
    warm.apply(size=1, warmRestart={"enabled": True}, maxConnections=512)
    warm.settle()
    eventually(lambda: installation.upgradeable(OLD).startswith("True Idle"))

    waited = [words.rpartition(": ")[2].rstrip(".") for words in installation.told() if words.startswith("False")]
    assert waited[:2] == ["Resizing", "Rotating"]
    assert "WarmUpgrading" in waited
    assert identities(cache) == before


def metrics_are_for_whom_the_bundles_role_is_bound_to(installation: Installation) -> None:
    """The reviews that this takes are what OLM grants the operator's ServiceAccount."""
    role, account = f"--clusterrole={PACKAGE}-metrics-reader", f"--serviceaccount={installation.namespace}:reader"
    for name in ("reader", "stranger"):
        installation.kubectl("create", "serviceaccount", name)
    installation.cluster.kubectl("delete", "clusterrolebinding", "olm-metrics", "--ignore-not-found")
    installation.cluster.kubectl("create", "clusterrolebinding", "olm-metrics", role, account)
    assert scrape(installation, "") == "401"
    assert scrape(installation, installation.kubectl("create", "token", "stranger").strip()) == "403"
    text = scrape(installation, installation.kubectl("create", "token", "reader").strip())
    assert "leader_election_master_status" in text
    assert "controller_runtime_reconcile_total" in text


def scrape(installation: Installation, token: str) -> str:
    """Metrics, or the HTTP status, as the operator's pod gives them to whoever has this token."""
    script = (
        "import ssl, sys, urllib.error, urllib.request as r\n"
        "request = r.Request(sys.argv[1], headers={'Authorization': f'Bearer {sys.argv[2]}'} if sys.argv[2] else {})\n"
        "context = ssl._create_unverified_context()\n"
        "opener = r.build_opener(r.ProxyHandler({}), r.HTTPSHandler(context=context))\n"
        "try: print(opener.open(request).read().decode())\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    command = ("--", "python3", "-c", script, METRICS, token)
    return installation.kubectl("exec", f"deployment/{DEPLOYMENT}", *command).strip()


def test_certificates_of_webhooks_are_renewed(installation: Installation) -> None:
    """OLM makes a new CA and certificate when the Secret is gone, as it does before they expire."""
    installation.install([installation.namespace], HOOKS_NEW, "hooks")
    admission = Admission(installation.cluster, installation.namespace)
    eventually(lambda: admission.ask() == 201)
    authority = bundle_of_authorities(installation)
    installation.kubectl("delete", "secret", f"{DEPLOYMENT}-service-cert")
    started = time.monotonic()
    with admission.asking():
        eventually(lambda: bundle_of_authorities(installation) not in ("", authority))
        installation.succeed(HOOKS_NEW)
    eventually(lambda: admission.ask() == 201)
    print(f"{time.monotonic() - started:.1f} s, {admission.refused_seconds():.1f} s refused")
    assert admission.refused_seconds() < MOST_REFUSED_SECONDS, admission.answers


def bundle_of_authorities(installation: Installation) -> str:
    """The CA with which the API server checks the operator's webhook."""
    found = installation.cluster.get(
        "validatingwebhookconfigurations", "--selector", f"olm.owner.namespace={installation.namespace}"
    )
    return "".join(
        webhook["clientConfig"].get("caBundle", "") for item in found["items"] for webhook in item["webhooks"]
    )


def test_versions_are_skipped_and_channels_switched(installation: Installation) -> None:
    installation.install([installation.namespace], OLD, "old")
    installation.subscribe("skips")
    installation.succeed(NEW)
    installation.subscribe("range")
    installation.succeed(NEWER)
    plans = installation.find("installplans")
    planned = {name for plan in plans for name in plan["spec"]["clusterServiceVersionNames"]}
    assert planned == {csv(OLD), csv(NEW), csv(NEWER)}, "the bad version was never tried"
    eventually(lambda: [item["metadata"]["name"] for item in installation.find("csv")] == [csv(NEWER)])


def test_a_bad_version_leaves_the_old_one_at_work_until_it_is_removed(installation: Installation) -> None:
    """Upgrade to a version that crashes, uninstall as the way out, install again: caches notice nothing of it."""
    installation.install([installation.namespace], OLD, "old")
    cache = filled(installation)
    before, old = identities(cache), installation.pod()
    installation.subscribe("broken")

    def crashed() -> list[Any]:
        statuses = [status for pod in installation.pods() for status in pod["status"].get("containerStatuses", ())]
        return [status for status in statuses if status["restartCount"] > 0]

    eventually(crashed)
    # OLM says which deployment it waits for.
    eventually(lambda: DEPLOYMENT in installation.phase(BAD))
    assert not installation.phase(BAD).startswith("Succeeded")
    assert installation.leader().startswith(f"{old}_")
    cache.apply(size=2, memory="16Mi")
    cache.settle()
    assert {name: seen for name, seen in identities(cache).items() if name in before} == before
    before = identities(cache)

    installation.uninstall()
    assert identities(cache) == before
    assert cache.resource()["spec"]["size"] == 2

    installation.install([installation.namespace], NEW, "stable")
    cache.apply(size=3, memory="16Mi")
    cache.settle()
    assert {name: seen for name, seen in identities(cache).items() if name in before} == before
    assert cache.ask("get greeting")[1] == "hello"
