"""The reconcile function, and the declaration of everything it watches, owns and may do."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography import x509

from kopf_sdk.runtime import Applied, Controller, Kind, Permission, Reader, Request, Result, Watch, by_label
from memcached_operator import (
    children,
    naming,
    rehearsal,
    replacing,
    resizing,
    rollout,
    status,
    swapping,
    template,
)
from memcached_operator.api.v1alpha1 import Memcached, MemcachedStatus
from memcached_operator.certificates import BadCertificateError, Certificates, Expiry, leaf
from memcached_operator.changes import Changes, Performed, adopt
from memcached_operator.credentials import (
    BadUsersError,
    Credentials,
    new_operator_login,
    read_auth_file,
    read_login,
    read_revoked,
    read_users,
)
from memcached_operator.diagnosis import Problem, Refusals, diagnose
from memcached_operator.fleet import Access, Fleet
from memcached_operator.handover import spare
from memcached_operator.handover import step as handover
from memcached_operator.hurrying import hurry
from memcached_operator.openshift import OpenShift
from memcached_operator.operand import Operand
from memcached_operator.resizing import PodResize
from memcached_operator.rollout import StepKind
from memcached_operator.rotating import Rotations
from memcached_operator.rotation import Wanted
from memcached_operator.secrets import SECRET, Secrets, named_secrets, own_secret
from memcached_operator.surroundings import Surroundings
from memcached_operator.template import ARGUMENTS
from memcached_operator.upgrades import holds_upgrade
from memcached_operator.warming import Warming

__all__ = ["controller", "controllers"]

CONFIG_MAP = Kind("v1", "ConfigMap")
SERVICE = Kind("v1", "Service")
STATEFUL_SET = Kind("apps/v1", "StatefulSet")
DEPLOYMENT = Kind("apps/v1", "Deployment")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")
POD = Kind("v1", "Pod")
EVENT = Kind("events.k8s.io/v1", "Event")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler")
SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", optional=True)
PROMETHEUS_RULE = Kind("monitoring.coreos.com/v1", "PrometheusRule", optional=True)

_A_DAY = 86400.0
_ASK_AGAIN = 10.0
"""Seconds until a pod that serves but could not be asked is asked again."""


def controller(operand: Operand, certificates: Certificates) -> Controller[Memcached]:
    """Return the controller for `Memcached`.

    Parameters
    ----------
    operand
        The images that pods run by default.
    certificates
        What remembers those in use, to be measured.
    """
    secrets, fleet, openshift, refusals, pod_resize = Secrets(), Fleet(), OpenShift(), Refusals(), PodResize()
    rotations, warming = Rotations(), Warming()
    changes = Changes(
        {
            StepKind.ADOPT: adopt,
            StepKind.RESIZE: resizing.perform,
            StepKind.SWAP: swapping.perform,
            StepKind.HANDOVER: handover.performer(operand),
            StepKind.REPLACE: replacing.perform,
        }
    )

    async def reconcile(request: Request[Memcached]) -> Result:
        memcached = request.resource
        fleet.through(request.client)
        secrets.note(request.key, str(request.namespace), named_secrets(memcached))
        problems = [Problem("SecretMissing", f"Secret {name} does not exist") for name in secrets.missing(request)]
        credentials, wrong = await _credentials(request, secrets)
        problems += wrong
        if credentials and fleet.reachable:
            revoked = read_revoked(own_secret(request, naming.auth_secret(memcached)), credentials.valid)
            if not rotations.settled(request.key, credentials.valid, revoked):
                credentials = dataclasses.replace(credentials, revoked=revoked)
        applied = await _apply(request, operand, credentials, secrets=secrets, openshift=openshift)
        problems += [Problem(problem.reason, str(problem)) for problem in applied.problems]

        labelled = request.list(POD, label_selector=naming.selector(memcached))
        pods = [pod for pod in labelled if naming.is_pod(memcached, pod["metadata"]["name"])]
        problems += diagnose(request.list(POD, label_selector=naming.discovery_labels(memcached)))
        stateful_set = request.get(STATEFUL_SET, memcached.metadata.name)
        now = dt.datetime.now(dt.UTC)
        problems += refusals.problems(stateful_set, pods, request.list(EVENT), now=now)
        ready = [pod for pod in pods if rollout.is_ready(pod)]
        access = await _access(request, secrets, credentials)
        running = await fleet.observe(request.key, ready, access)
        served, wrong = await _certificates(request, secrets)
        expiry = certificates.look(request.key, served, now=now)
        problems += [*wrong, *expiry.problems]
        rotation = await rotations.look(
            request, pods, ready, _wanted(request, served, credentials), fleet=fleet, access=access, running=running
        )
        abilities = rollout.Abilities(
            resize=await pod_resize.found(request),
            reachable=fleet.reachable,
            warm=memcached.spec.warm_restart.enabled,
            handover=memcached.spec.warm_restart.handover,
            impossible=changes.impossible(request.key, stateful_set),
        )
        spares = request.list(POD, label_selector=spare.labels(memcached))
        returning = handover.returning(spares, pods)
        strategy = memcached.spec.update_strategy
        progress = rollout.plan(
            stateful_set,
            pods,
            strategy,
            now=now,
            abilities=abilities,
            running=running,
            warming=await warming.look(
                request.key, pods, stateful_set, strategy.warm_up, fleet=fleet, access=access, now=now
            )
            | returning,
            returning=returning,
            stale=rotation.stale,
            lacking=_lacking(memcached, served, credentials),
        )
        performed = Performed()
        if not memcached.spec.paused:
            performed = await changes.perform(
                request, progress, stateful_set, fleet=fleet, access=access, running=running
            )
            await rehearsal.tidy(request, progress, stateful_set)
            tended = await handover.tend(request, spares, pods, progress)
            performed.wait = min(filter(None, (performed.wait, tended)), default=0)
        problems += performed.problems

        observed = status.evaluate(
            memcached,
            pods,
            progress,
            problems,
            running,
            notes=performed.notes,
            returning=list(returning),
            held=template.held(stateful_set),
            rotation=rotation,
            bound=bool(own_secret(request, naming.binding_secret(memcached))),
            refused=any(problem.kind == STATEFUL_SET for problem in applied.problems),
        )
        _tell(request, observed, expiry)
        await request.update_status(observed)
        silent = fleet.reachable and len(running) < len(ready)
        waits = (progress.wait, performed.wait, rotation.wait, min(expiry.wait, _A_DAY), _ASK_AGAIN if silent else 0)
        wait = min((seconds for seconds in waits if seconds), default=0)
        return Result(requeue_after=wait)

    def gone(key: str) -> None:
        for memory in (secrets, fleet, certificates, rotations, warming, changes):
            memory.gone(key)

    managed = f"{naming.MANAGED_BY_LABEL}={naming.MANAGED_BY}"
    return Controller(
        Memcached,
        reconcile,
        owns=[
            CONFIG_MAP,
            SECRET,
            SERVICE,
            STATEFUL_SET,
            DEPLOYMENT,
            POD_DISRUPTION_BUDGET,
            NETWORK_POLICY,
            AUTOSCALER,
            SERVICE_MONITOR,
            PROMETHEUS_RULE,
        ],
        owned_labels={naming.MANAGED_BY_LABEL: naming.MANAGED_BY},
        watches=[
            Watch(POD, to_keys=by_label(naming.INSTANCE_LABEL), label_selector=managed, reason="status and rollouts"),
            Watch(
                EVENT,
                to_keys=_stateful_set_of,
                field_selector="regarding.kind=StatefulSet,reason=FailedCreate",
                reason="a refused pod is told by an event alone",
            ),
            Watch(SECRET, to_keys=secrets.to_keys, metadata_only=True, reason="users and certificates may change"),
        ],
        permissions=[
            Permission("pods", "", ["delete"], reason="replaces pods, a few at a time, where nothing gentler will do"),
            Permission("pods", "", ["patch"], reason="gives living pods new labels, annotations and arguments"),
            Permission("pods", "", ["create"], reason="tries what a pod that serves shall start with"),
            Permission("pods/resize", "", ["patch"], reason="gives living pods more or less memory"),
            Permission("secrets", "", ["get"], reason="reads the users that a resource names"),
        ],
        gone=gone,
        holds_upgrade=holds_upgrade,
    )


def controllers() -> list[Controller[Memcached]]:
    """Return what `kopf-sdk generate` derives the permissions from."""
    return [controller(Operand(), Certificates())]


async def _apply(
    request: Request[Memcached],
    operand: Operand,
    credentials: Credentials | None,
    *,
    secrets: Secrets,
    openshift: OpenShift,
) -> Applied:
    """Bring the children to what the resource asks for; return what was done and what stands in the way."""
    memcached = request.resource
    if memcached.spec.paused:
        return Applied()
    surroundings = Surroundings(
        credentials,
        await _certificate_authority(request, secrets),
        request.get(STATEFUL_SET, memcached.metadata.name),
        request.get(CONFIG_MAP, naming.servers_config_map(memcached)),
        arguments=request.get(CONFIG_MAP, naming.arguments_config_map(memcached)),
        arguments_in_use=_arguments_in_use(request),
        handovers=handover.greetings(request.list(POD, label_selector=spare.labels(memcached))),
        openshift=await openshift.found(request),
    )
    applied = await request.apply(children.build(memcached, operand, surroundings))
    endpoints = request.list(POD, label_selector=naming.discovery_labels(memcached))
    await hurry(request, request.get(CONFIG_MAP, naming.servers_config_map(memcached)), endpoints)
    return applied


async def _access(request: Request[Memcached], secrets: Secrets, credentials: Credentials | None) -> Access | None:
    """Return how to talk to the pods, with what the resource's Secrets hold now."""
    tls = request.resource.spec.tls
    certificate = await secrets.content(request, tls.secret_name if tls else None)
    own = await secrets.content(request, tls.operator_secret_name if tls else None)
    return Access.of(request.resource, credentials, certificate, own)


async def _credentials(request: Request[Memcached], secrets: Secrets) -> tuple[Credentials | None, list[Problem]]:
    """Return everybody who may log in.

    While the users' Secret is missing or wrong, those who could log in before still can: losing it by mistake must not
    lock clients out.
    """
    auth = request.resource.spec.auth
    if auth is None:
        return None, []
    before = read_auth_file(own_secret(request, naming.auth_secret(request.resource)))
    login = read_login(own_secret(request, naming.login_secret(request.resource)))
    operator = login or (before.operator if before else new_operator_login())
    content = await secrets.content(request, auth.secret_name)
    if content is None:  # named as missing already
        return before, []
    try:
        return Credentials(operator, read_users(content)), []
    except BadUsersError as error:
        return before, [Problem("SecretInvalid", f"Secret {auth.secret_name}: {error}")]


async def _certificates(
    request: Request[Memcached], secrets: Secrets
) -> tuple[dict[str, x509.Certificate], list[Problem]]:
    """Return what can be served of the Secrets that the resource names for TLS, by the Secret's name."""
    tls = request.resource.spec.tls
    found: dict[str, x509.Certificate] = {}
    problems = []
    for name in (tls.secret_name, tls.operator_secret_name) if tls else ():
        content = await secrets.content(request, name)
        if name is None or content is None:  # named as missing already
            continue
        try:
            authority = bool(tls and name == tls.secret_name and tls.client_certificates != "none")
            found[name] = leaf(content, authority=authority)
        except BadCertificateError as error:
            problems.append(Problem("SecretInvalid", f"Secret {name}: {error}"))
    return found, problems


def _wanted(
    request: Request[Memcached], served: Mapping[str, x509.Certificate], credentials: Credentials | None
) -> Wanted:
    """Return what every memcached shall serve and accept. While the operator is paused, nobody brings it the users."""
    tls = request.resource.spec.tls
    users = credentials if not request.resource.spec.paused else None
    valid, revoked = (users.valid, users.revoked) if users else ((), ())
    return Wanted(served.get(tls.secret_name) if tls else None, valid, revoked)


def _lacking(memcached: Memcached, served: Mapping[str, x509.Certificate], credentials: Credentials | None) -> str:
    """Return which Secret new pods would wait for in vain, or end of; empty when they have what they need."""
    tls, auth = memcached.spec.tls, memcached.spec.auth
    if tls and tls.secret_name not in served:
        return f"Secret {tls.secret_name} cannot be used"
    return f"Secret {auth.secret_name} cannot be used" if auth and credentials is None else ""


async def _certificate_authority(request: Request[Memcached], secrets: Secrets) -> str:
    """Return the CA of the TLS Secret; while that Secret is gone, the one that it had before."""
    tls = request.resource.spec.tls
    content = await secrets.content(request, tls.secret_name if tls else None)
    if content is None:
        content = own_secret(request, naming.binding_secret(request.resource))
    return content.get("ca.crt", b"").decode(errors="replace")


def _stateful_set_of(event: Mapping[str, Any], cache: Reader[Any]) -> Iterable[str]:
    """Return the resource whose StatefulSet, named like it, an event is about."""
    about = event.get("regarding", {})
    namespace, name = about.get("namespace"), about.get("name", "")
    return [f"{namespace}/{name}"] if cache.primary.get(namespace, name) else []


def _arguments_in_use(request: Request[Memcached]) -> frozenset[str]:
    """Return the digests of the arguments that pods of the resource have, also those that do not serve clients."""
    own = {naming.INSTANCE_LABEL: request.name, naming.MANAGED_BY_LABEL: naming.MANAGED_BY}
    named = (pod["metadata"].get("annotations", {}).get(ARGUMENTS) for pod in request.list(POD, label_selector=own))
    return frozenset(digest for digest in named if digest)


def _tell(request: Request[Memcached], observed: MemcachedStatus, expiry: Expiry) -> None:
    """Make an event of a problem when it appears, not at every reconciliation that still sees it."""
    for warning in expiry.warnings:
        request.event("Warning", "CertificateExpires", warning)
    before = request.resource.status
    known = {condition.type: condition.message for condition in (before and before.conditions) or []}
    for condition in observed.conditions or []:
        earlier = known.get(condition.type, "")
        if condition.type == "Degraded" and condition.status == "True" and earlier != condition.message:
            request.event("Warning", condition.reason, condition.message)
        if condition.type == "Progressing" and status.HELD in condition.message and status.HELD not in earlier:
            request.event("Normal", "RolloutHeld", status.HELD)
