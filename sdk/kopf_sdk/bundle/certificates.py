"""Serving certificates: the chart's own ones go, its volumes point to the Secret that OLM makes.

OLM v0 (pkg/controller/install/certresources.go) makes one Secret per serving deployment, with tls.crt, tls.key and
olmCAKey; OLM v1 (rukpak render, certproviders) the same name with tls.crt, tls.key and, from cert-manager, ca.crt. A
volume of the chart's that points to the same Secret gives the operator its certificate where its flags say, so no flag
changes. Where OLM mounts that Secret itself: `olm_mounts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice, remedies
from kopf_sdk.bundle.objects import Object, by_kind, pod_spec
from kopf_sdk.bundle.olm_mounts import OLM_PATHS, make_way, mentions_path
from kopf_sdk.bundle.references import containers, names, pod_strings
from kopf_sdk.bundle.serving import olm_secret_name, olm_service_name

__all__ = ["CertificatePlan", "plan_certificates"]

_DEFAULT_KEYS = ("tls.crt", "tls.key", "ca.crt")
_GROUPS = ("cert-manager.io", "certmanager.k8s.io")
_LOOKS_LIKE = re.compile(r"cert|tls|webhook|serving|ssl", re.IGNORECASE)
_MAKES_CERTIFICATES = re.compile(
    r"cert-?gen|gen-?cert|self-?signed|openssl|cfssl|patch-webhook|cabundle|webhook-name|patch-validating",
    re.IGNORECASE,
)
_SELF_MADE = re.compile(
    r"dynamic-serving|self-?signed|cert-?rotat|generate-?cert|ca-secret|auto-?cert|manage-?webhook-?cert", re.IGNORECASE
)
_OPENSHIFT = (
    "service.beta.openshift.io/serving-cert-secret-name",
    "service.alpha.openshift.io/serving-cert-secret-name",
)
_NAME_LIMIT = 63


@dataclass(slots=True, eq=False, repr=False)
class CertificatePlan:
    """What became of the certificate objects. The deployments given were changed in place."""

    fates: list[Fate] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    replaced: dict[str, str] = field(default_factory=dict)


def plan_certificates(
    objects: Collection[Object],
    deployments: Mapping[str, dict[str, Any]],
    refs: Mapping[str, Object],
    serving: Mapping[str, Collection[str]],
    mapped: Callable[[Object], str | None],
) -> CertificatePlan:
    """Point the volumes of serving deployments to OLM's Secret and settle the objects that made the old one.

    Parameters
    ----------
    deployments
        Name → deployment spec, changed in place.
    refs
        Name → the rendered object, for messages.
    serving
        Deployment → the chart's Services through which its webhooks and APIs are called.
    """
    planner = _Planner(objects, deployments, refs, serving, mapped)
    planner.run()
    return planner.plan


@dataclass(slots=True, eq=False, repr=False)
class _Planner:
    objects: Collection[Object]
    deployments: Mapping[str, dict[str, Any]]
    refs: Mapping[str, Object]
    serving: Mapping[str, Collection[str]]
    mapped: Callable[[Object], str | None]
    plan: CertificatePlan = field(default_factory=CertificatePlan)
    certificates: dict[str, Object] = field(default_factory=dict)
    secrets: dict[str, Object] = field(default_factory=dict)
    jobs: list[Object] = field(default_factory=list)
    stranded: set[str] = field(default_factory=set)

    def run(self) -> None:
        self.secrets = {obj.name: obj for obj in by_kind(self.objects, "Secret")}
        for obj in by_kind(self.objects, "Certificate"):
            if obj.group in _GROUPS:
                self.certificates[str(obj.spec.get("secretName"))] = obj
        for name, spec in self.deployments.items():
            if name in self.serving:
                self._serving(name, spec)
            else:
                self._not_serving(name, spec)
        self._jobs()
        self._certificate_objects()
        self._secret_objects()

    # -- volumes

    def _serving(self, name: str, spec: dict[str, Any]) -> None:
        pod = (spec.get("template") or {}).get("spec") or {}
        secret = olm_secret_name(name)
        if len(secret) > _NAME_LIMIT or "." in name:
            self._notice(
                Level.ERROR,
                "deployment-name",
                f"a deployment that serves webhooks or APIs needs a name without dots and of at most "
                f"{_NAME_LIMIT - len('-service-cert')} "
                f"characters: OLM makes {olm_service_name(name)} and {secret} from it",
                name,
                "Set nameOverride or fullnameOverride in values, or another releaseName in bundle.yaml.",
            )
        candidates = [
            (volume, source, str(source.get("secretName") or source.get("name") or ""))
            for volume in pod.get("volumes") or ()
            for source in _secret_sources(volume)
        ]
        sure = [item for item in candidates if self._is_certificate(*item)]
        certified = any(
            old not in self.certificates or self._certifies(self.certificates[old], name) for _, _, old in sure
        )
        guessed = [
            (volume, source, old)
            for volume, source, old in candidates
            if not certified and (volume, source, old) not in sure and self._may_be_certificate(volume, old)
        ]
        found = False
        for volume, source, old in [*sure, *guessed]:
            found = self._repoint(name, volume, source, old, secret) or found
        uses_olm_path = mentions_path(pod)
        for finding in make_way(pod, name, lacks_certificate=not found):
            self._notice(finding.level, finding.code, finding.message, name, finding.hint)
        if not found and not uses_olm_path:
            self._without_volume(name, pod)

    def _not_serving(self, name: str, spec: Mapping[str, Any]) -> None:
        pod = (spec.get("template") or {}).get("spec") or {}
        for volume in pod.get("volumes") or ():
            for source in _secret_sources(volume):
                secret = str(source.get("secretName") or source.get("name") or "")
                if secret in self.certificates:
                    self.stranded.add(secret)
                elif secret not in self.secrets and not source.get("optional"):
                    self._missing(name, secret)

    def _is_certificate(self, volume: Mapping[str, Any], source: Mapping[str, Any], secret: str) -> bool:
        obj = self.secrets.get(secret)
        if obj is not None and self.mapped(obj) == "olm-certificate":
            return True
        if secret in self.certificates or any(
            secret in self._openshift(service) for service in by_kind(self.objects, "Service")
        ):
            return True
        if obj is None:
            return False
        keys = _keys(obj)
        shown = [str(item.get("key")) for item in source.get("items") or ()] or keys
        if not all(_olm_keys(key) for key in shown):
            return False
        if obj.data.get("type") == "kubernetes.io/tls" or {"tls.crt", "tls.key"} <= set(keys):
            return True
        return _looks_like_certificate(volume, secret)

    def _may_be_certificate(self, volume: Mapping[str, Any], secret: str) -> bool:
        """Nothing in the chart makes the Secret: the operator does, or somebody else."""
        return secret not in self.secrets and _looks_like_certificate(volume, secret)

    @staticmethod
    def _openshift(service: Object) -> list[str]:
        return [service.annotations[key] for key in _OPENSHIFT if key in service.annotations]

    def _repoint(self, name: str, volume: dict[str, Any], source: dict[str, Any], old: str, new: str) -> bool:
        obj = self.secrets.get(old)
        keys = _keys(obj) if obj is not None else []
        items = source.get("items") or [{"key": key, "path": key} for key in keys or _DEFAULT_KEYS]
        projected = "secret" not in volume
        wanted: list[dict[str, Any]] = []
        for item in items:
            targets = _olm_keys(str(item.get("key")))
            if not targets:
                self._notice(
                    Level.ERROR,
                    "certificate-key",
                    f"volume {volume.get('name')}: key {item.get('key')} of Secret {old} has no counterpart in "
                    f"the Secret that OLM makes "
                    "(certificate, private key, CA certificate)",
                    name,
                    "Set values so that the operator reads PEM files, or drop the key with a patch.",
                )
                return False
            # Two keys may lead to one path in a Secret volume, the one that exists is taken; a projected volume refuses
            # that.
            wanted.extend({**item, "key": target} for target in (targets[:1] if projected else targets))
        source.pop("name", None)
        source["name" if projected else "secretName"] = new
        source["items"] = wanted
        source["optional"] = True
        self.plan.replaced[old] = name
        certificate = self.certificates.get(old)
        if certificate is not None and not self._certifies(certificate, name):
            hosts = ", ".join(str(host) for host in certificate.spec.get("dnsNames") or ())
            self._notice(
                Level.WARNING,
                "certificate-hosts",
                f"volume {volume.get('name')}: Certificate {certificate.name} was for {hosts}; OLM's certificate "
                f"is for {olm_service_name(name)} only, "
                "so clients of that endpoint must not check the host name",
                name,
                "Set values that turn this certificate off, if the operator can do without.",
            )
        elif old not in self.certificates and old not in self.secrets:
            others = ", ".join(sorted(set(self._mounting(old)) - {name}))
            shared = f"; {others} has it too, and does not get OLM's certificate" if others else ""
            self._notice(
                Level.WARNING,
                "certificate-guessed",
                f"volume {volume.get('name')}: nothing in the chart makes Secret {old}; taken for the serving "
                f"certificate and pointed to OLM's {new}{shared}",
                name,
                "If the operator makes the Secret itself, see whether it can be told to leave that to others.",
            )
        return True

    def _mounting(self, secret: str) -> Iterator[str]:
        for name, spec in self.deployments.items():
            pod = (spec.get("template") or {}).get("spec") or {}
            sources = [source for volume in pod.get("volumes") or () for source in _secret_sources(volume)]
            if any(secret in {source.get("secretName"), source.get("name")} for source in sources):
                yield name

    def _certifies(self, certificate: Object, deployment: str) -> bool:
        hosts = [str(host) for host in certificate.spec.get("dnsNames") or ()]
        return not hosts or any(host.split(".")[0] == service for host in hosts for service in self.serving[deployment])

    def _without_volume(self, name: str, pod: Mapping[str, Any]) -> None:
        own = next((f"{where}: {text}" for where, text in pod_strings(pod) if _SELF_MADE.search(text)), "")
        own = own or next(_empty_certificate_volumes(pod), "")
        clue = f" It seems to make its own certificate ({own}), which OLM's CA bundle does not match." if own else ""
        self._notice(
            Level.WARNING,
            "certificate-nowhere",
            f"it serves webhooks or APIs and mounts no certificate. OLM puts tls.crt and tls.key into "
            f"{OLM_PATHS['webhook-cert']}, "
            f"where controller-runtime looks by default.{clue}",
            name,
            "If the operator looks elsewhere, point its flags there with values or a patch in bundle.yaml.",
        )

    def _missing(self, name: str, secret: str) -> None:
        self._notice(
            Level.WARNING,
            "secret-missing",
            f"nothing in the bundle makes Secret {secret}, which a volume needs; the pod waits until somebody does",
            name,
            "Say so in the description, or set values that do without.",
        )

    # -- the objects that made the certificates

    def _jobs(self) -> None:
        configurations = [
            obj.name for obj in by_kind(self.objects, "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
        ]
        subjects = [*self.plan.replaced, *configurations]
        for job in by_kind(self.objects, "Job", "CronJob", "Pod"):
            texts = [text for _, text in pod_strings(pod_spec(job))]
            images = [str(container.get("image", "")) for container in containers(pod_spec(job))]
            makes = any(_MAKES_CERTIFICATES.search(text) for text in [*texts, *images])
            if makes and self.serving and any(names(text, subject) for text in texts for subject in subjects):
                self._fate(job, Disposition.LEFT_OUT, "it makes the webhook certificate; OLM makes it instead")

    def _certificate_objects(self) -> None:
        """A certificate goes with its volume; an issuer, and a CA certificate, with the certificates that it issues."""
        fates: dict[int, Disposition] = {}
        issued: dict[str, list[Object]] = {}
        everything = list(self.certificates.values())
        for certificate in everything:
            issuer = certificate.spec.get("issuerRef") or {}
            issued.setdefault(str(issuer.get("name")), []).append(certificate)
            secret = str(certificate.spec.get("secretName"))
            fates[id(certificate)] = (
                Disposition.NO_PLACE if secret in self.stranded or not self.serving else Disposition.LEFT_OUT
            )
        for certificate in everything:
            if fates[id(certificate)] is Disposition.LEFT_OUT:
                secret = str(certificate.spec.get("secretName"))
                reason = (
                    "OLM makes the certificate instead"
                    if secret in self.plan.replaced
                    else "it only leads to the certificates that OLM makes instead"
                )
                self._fate(certificate, Disposition.LEFT_OUT, reason)
            else:
                reason = (
                    "OLM has no cert-manager objects, and makes certificates only for deployments that serve "
                    "webhooks or APIs"
                )
                self._fate(certificate, Disposition.NO_PLACE, reason, remedies(certificate))
        for issuer in by_kind(self.objects, "Issuer", "ClusterIssuer"):
            if issuer.group not in _GROUPS:
                continue
            users = issued.get(issuer.name, [])
            if users and all(fates[id(user)] is Disposition.LEFT_OUT for user in users):
                self._fate(issuer, Disposition.LEFT_OUT, "the certificates that it issues are made by OLM instead")
            else:
                self._fate(issuer, Disposition.NO_PLACE, "OLM has no cert-manager objects", remedies(issuer))

    def _secret_objects(self) -> None:
        for name, deployment in self.plan.replaced.items():
            obj = self.secrets.get(name)
            if obj is None:
                continue
            user = next((other for other, text in self._named(name)), "")
            if user:
                if any(_is_private(obj, key) for key in _keys(obj)):
                    self._fate(obj, Disposition.LEFT_OUT, f"OLM makes the certificate of {deployment} instead")
                    self._notice(
                        Level.WARNING,
                        "secret-named",
                        f"it names Secret {name}, which goes: OLM makes {olm_secret_name(deployment)}",
                        user,
                    )
                else:
                    message = (
                        f"it names Secret {name}; that stays, though {deployment} takes the certificate that OLM makes"
                    )
                    self._notice(Level.INFO, "secret-named", message, user)
            else:
                self._fate(obj, Disposition.LEFT_OUT, f"OLM makes the certificate of {deployment} instead")

    def _named(self, name: str) -> Iterator[tuple[str, str]]:
        for deployment, spec in self.deployments.items():
            for _, text in pod_strings((spec.get("template") or {}).get("spec") or {}):
                if names(text, name):
                    yield deployment, text

    def _fate(self, obj: Object, disposition: Disposition, reason: str, ways: tuple[str, ...] = ()) -> None:
        self.plan.fates.append(Fate(obj.ref, disposition, "", reason, obj.source, ways))

    def _notice(self, level: Level, code: str, message: str, deployment: str, hint: str = "") -> None:
        self.plan.notices.append(Notice(level, code, message, self.refs[deployment].ref, hint))


def _looks_like_certificate(volume: Mapping[str, Any], secret: str) -> bool:
    return bool(_LOOKS_LIKE.search(f"{secret} {volume.get('name', '')}"))


def _secret_sources(volume: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the Secret sources of a volume, projected ones too."""
    if isinstance(volume.get("secret"), dict):
        return [volume["secret"]]
    return [
        source["secret"]
        for source in (volume.get("projected") or {}).get("sources") or ()
        if isinstance(source.get("secret"), dict)
    ]


def _empty_certificate_volumes(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the empty volumes that are mounted where one would look for certificates."""
    empty = {volume.get("name") for volume in pod.get("volumes") or () if "emptyDir" in volume}
    for container in containers(pod):
        for mount in container.get("volumeMounts") or ():
            path = str(mount.get("mountPath"))
            if mount.get("name") in empty and _LOOKS_LIKE.search(path):
                yield f"container {container.get('name')}, empty volume {mount.get('name')} at {path}"


def _keys(secret: Object) -> list[str]:
    return [*(secret.data.get("data") or {}), *(secret.data.get("stringData") or {})]


def _is_private(secret: Object, key: str) -> bool:
    return _olm_keys(key) == ("tls.key",) and bool(
        (secret.data.get("data") or {}).get(key) or (secret.data.get("stringData") or {}).get(key)
    )


def _olm_keys(key: str) -> tuple[str, ...]:
    """Return the keys in OLM's Secret that hold what `key` holds in the chart's.

    Empty for something OLM does not make.
    """
    name = key.lower()
    authority = re.search(r"(?:^|[^a-z])ca(?:[^a-z]|$|cert|bundle|_?crt)", name) is not None
    private = re.search(r"key", name) is not None
    if authority and private:
        return ()
    if authority:
        return ("olmCAKey", "ca.crt")
    if private:
        return ("tls.key",)
    return ("tls.crt",) if re.search(r"crt|cert|\.pem$|public|chain", name) else ()
