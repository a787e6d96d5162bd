"""What is done for one Memcached, from its Secrets to its status: the parts decide, this calls them in order."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from cryptography import x509

from kopf_sdk.runtime import Applied, Request, Result
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
from memcached_operator.kinds import CONFIG_MAP, EVENT, POD, STATEFUL_SET
from memcached_operator.openshift import OpenShift
from memcached_operator.operand import Operand
from memcached_operator.resizing import PodResize
from memcached_operator.rollout import StepKind
from memcached_operator.rotating import Rotations
from memcached_operator.rotation import Wanted
from memcached_operator.secrets import Secrets, named_secrets, own_secret
from memcached_operator.surroundings import Surroundings
from memcached_operator.template import ARGUMENTS
from memcached_operator.warming import Warming

__all__ = ["Reconciler"]

_A_DAY = 86400.0
_ASK_AGAIN = 10.0
"""Seconds until a pod that serves but could not be asked is asked again."""


class Reconciler:
    """Looks after all resources, one at a time.

    What it remembers from one time to the next is found out again after a restart.

    Parameters
    ----------
    operand
        The images that pods run by default.
    certificates
        What remembers those in use, to be measured.
    """

    def __init__(self, operand: Operand, certificates: Certificates) -> None:
        self._operand = operand
        self._certificates = certificates
        self._fleet = Fleet()
        self._openshift = OpenShift()
        self._pod_resize = PodResize()
        self._refusals = Refusals()
        self._rotations = Rotations()
        self._warming = Warming()
        self._changes = Changes(
            {
                StepKind.ADOPT: adopt,
                StepKind.RESIZE: resizing.perform,
                StepKind.SWAP: swapping.perform,
                StepKind.HANDOVER: handover.performer(operand),
                StepKind.REPLACE: replacing.perform,
            }
        )
        self.secrets = Secrets()
        """Which resources name which Secret."""

    async def reconcile(self, request: Request[Memcached]) -> Result:
        """Bring the children to what is asked for and the pods a step nearer to it, and say how far they are."""
        memcached, fleet = request.resource, self._fleet
        fleet.through(request.client)
        self.secrets.note(request.key, str(request.namespace), named_secrets(memcached))
        problems = [Problem("SecretMissing", f"Secret {name} does not exist") for name in self.secrets.missing(request)]
        credentials, wrong = await self._accepted(request)
        problems += wrong
        applied = await self._apply(request, credentials)
        problems += [Problem(problem.reason, str(problem)) for problem in applied.problems]

        labelled = request.list(POD, label_selector=naming.selector(memcached))
        pods = [pod for pod in labelled if naming.is_pod(memcached, pod["metadata"]["name"])]
        problems += diagnose(request.list(POD, label_selector=naming.discovery_labels(memcached)))
        stateful_set = request.get(STATEFUL_SET, memcached.metadata.name)
        now = dt.datetime.now(dt.UTC)
        problems += self._refusals.problems(stateful_set, pods, lambda: request.list(EVENT), now=now)
        ready = [pod for pod in pods if rollout.is_ready(pod)]
        access = await self._access(request, credentials)
        running = await fleet.observe(request.key, ready, access)
        served, wrong = await self._served(request)
        expiry = self._certificates.look(request.key, served, now=now)
        problems += [*wrong, *expiry.problems]
        wanted = _wanted(request, served, credentials)
        rotation = await self._rotations.look(request, pods, ready, wanted, fleet=fleet, access=access, running=running)

        spares = request.list(POD, label_selector=spare.labels(memcached))
        returning = handover.returning(spares, pods)
        strategy = memcached.spec.update_strategy
        warming = await self._warming.look(
            request.key, pods, stateful_set, strategy.warm_up, fleet=fleet, access=access, now=now
        )
        progress = rollout.plan(
            stateful_set,
            pods,
            strategy,
            now=now,
            abilities=await self._abilities(request, stateful_set),
            running=running,
            warming=warming | returning,
            returning=returning,
            stale=rotation.stale,
            lacking=_lacking(memcached, served, credentials),
        )
        performed = Performed()
        if not memcached.spec.paused:
            performed = await self._changes.perform(
                request, progress, stateful_set, fleet=fleet, access=access, running=running
            )
            await rehearsal.tidy(request, progress, stateful_set)
            tended = await handover.tend(request, spares, pods, progress)
            performed.wait = min(filter(None, (performed.wait, tended)), default=0)

        observed = status.evaluate(
            memcached,
            pods,
            progress,
            [*problems, *performed.problems],
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
        return Result(requeue_after=min((seconds for seconds in waits if seconds), default=0))

    def gone(self, key: str) -> None:
        """Forget a resource that is no more."""
        for memory in (self.secrets, self._fleet, self._certificates, self._rotations, self._warming, self._changes):
            memory.gone(key)

    async def _accepted(self, request: Request[Memcached]) -> tuple[Credentials | None, list[Problem]]:
        """Return who may log in, those whose passwords were taken back included until no memcached knows them."""
        credentials, problems = await self._credentials(request)
        if credentials is None or not self._fleet.reachable:
            return credentials, problems
        revoked = read_revoked(own_secret(request, naming.auth_secret(request.resource)), credentials.valid)
        if self._rotations.settled(request.key, credentials.valid, revoked):
            return credentials, problems
        return dataclasses.replace(credentials, revoked=revoked), problems

    async def _credentials(self, request: Request[Memcached]) -> tuple[Credentials | None, list[Problem]]:
        """Return everybody who may log in.

        While the users' Secret is missing or wrong, those who could log in before still can: losing it by mistake must
        not lock clients out.
        """
        auth = request.resource.spec.auth
        if auth is None:
            return None, []
        before = read_auth_file(own_secret(request, naming.auth_secret(request.resource)))
        login = read_login(own_secret(request, naming.login_secret(request.resource)))
        operator = login or (before.operator if before else new_operator_login())
        content = await self.secrets.content(request, auth.secret_name)
        if content is None:  # named as missing already
            return before, []
        try:
            return Credentials(operator, read_users(content)), []
        except BadUsersError as error:
            return before, [Problem("SecretInvalid", f"Secret {auth.secret_name}: {error}")]

    async def _apply(self, request: Request[Memcached], credentials: Credentials | None) -> Applied:
        """Bring the children to what the resource asks for; return what was done and what stands in the way."""
        memcached = request.resource
        if memcached.spec.paused:
            return Applied()
        surroundings = Surroundings(
            credentials,
            await self._certificate_authority(request),
            request.get(STATEFUL_SET, memcached.metadata.name),
            request.get(CONFIG_MAP, naming.servers_config_map(memcached)),
            arguments=request.get(CONFIG_MAP, naming.arguments_config_map(memcached)),
            arguments_in_use=_arguments_in_use(request),
            handovers=handover.greetings(request.list(POD, label_selector=spare.labels(memcached))),
            openshift=await self._openshift.found(request),
        )
        applied = await request.apply(children.build(memcached, self._operand, surroundings))
        endpoints = request.list(POD, label_selector=naming.discovery_labels(memcached))
        await hurry(request, request.get(CONFIG_MAP, naming.servers_config_map(memcached)), endpoints)
        return applied

    async def _access(self, request: Request[Memcached], credentials: Credentials | None) -> Access | None:
        """Return how to talk to the pods, with what the resource's Secrets hold now."""
        tls = request.resource.spec.tls
        certificate = await self.secrets.content(request, tls.secret_name if tls else None)
        own = await self.secrets.content(request, tls.operator_secret_name if tls else None)
        return Access.of(request.resource, credentials, certificate, own)

    async def _served(self, request: Request[Memcached]) -> tuple[dict[str, x509.Certificate], list[Problem]]:
        """Return what can be served of the Secrets that the resource names for TLS, by the Secret's name."""
        tls = request.resource.spec.tls
        found: dict[str, x509.Certificate] = {}
        problems = []
        for name in (tls.secret_name, tls.operator_secret_name) if tls else ():
            content = await self.secrets.content(request, name)
            if name is None or content is None:  # named as missing already
                continue
            try:
                authority = bool(tls and name == tls.secret_name and tls.client_certificates != "none")
                found[name] = leaf(content, authority=authority)
            except BadCertificateError as error:
                problems.append(Problem("SecretInvalid", f"Secret {name}: {error}"))
        return found, problems

    async def _certificate_authority(self, request: Request[Memcached]) -> str:
        """Return the CA of the TLS Secret; while that Secret is gone, the one that it had before."""
        tls = request.resource.spec.tls
        content = await self.secrets.content(request, tls.secret_name if tls else None)
        if content is None:
            content = own_secret(request, naming.binding_secret(request.resource))
        return content.get("ca.crt", b"").decode(errors="replace")

    async def _abilities(self, request: Request[Memcached], stateful_set: dict[str, Any] | None) -> rollout.Abilities:
        """Return what the cluster, the resource and earlier tries let us do to pods."""
        warm = request.resource.spec.warm_restart
        return rollout.Abilities(
            resize=await self._pod_resize.found(request),
            reachable=self._fleet.reachable,
            warm=warm.enabled,
            handover=warm.handover,
            impossible=self._changes.impossible(request.key, stateful_set),
        )


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
