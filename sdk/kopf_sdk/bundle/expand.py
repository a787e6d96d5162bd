"""What OLM makes of a bundle: its objects, as they would be in the cluster.

v0 after operator-lifecycle-manager `pkg/controller/install` and `registry/resolver/rbac.go`, v1 after operator-
controller `internal/operator-controller/rukpak/render/registryv1/generators`. Names that OLM hashes are kept readable
here, owner references and OLM's own labels are left away: nothing in a chart corresponds to them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.olm_mounts import OLM_FILES, OLM_PATHS
from kopf_sdk.bundle.profile import REGISTRY_KINDS
from kopf_sdk.bundle.roles import AUTH_READER
from kopf_sdk.bundle.serving import olm_secret_name, olm_service_name

__all__ = ["ALL_NAMESPACES", "OlmVersion", "expand"]

OlmVersion = Literal["v0", "v1"]
ALL_NAMESPACES = ("",)
_RBAC = "rbac.authorization.k8s.io"
_NAMESPACES_RULE = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}
_WEBHOOK_KINDS = {
    "ValidatingAdmissionWebhook": "ValidatingWebhookConfiguration",
    "MutatingAdmissionWebhook": "MutatingWebhookConfiguration",
}
_WEBHOOK_FIELDS = (
    "rules",
    "failurePolicy",
    "matchPolicy",
    "objectSelector",
    "sideEffects",
    "timeoutSeconds",
    "admissionReviewVersions",
    "reinvocationPolicy",
)
Resource = dict[str, Any]


def expand(bundle: Bundle, *, version: OlmVersion, namespace: str, targets: Sequence[str]) -> list[Resource]:
    """Return the objects OLM makes of a bundle.

    Parameters
    ----------
    namespace
        Where the operator gets installed.
    targets
        The namespaces it watches; `ALL_NAMESPACES` for all.
    """
    world = _World(bundle, version, namespace, tuple(targets))
    return [
        *world.accounts(),
        *world.roles(),
        *world.crds(),
        *world.files(),
        *world.deployments(),
        *world.services(),
        *world.webhooks(),
        *world.api_services(),
    ]


@dataclass(frozen=True, slots=True)
class _World:
    bundle: Bundle
    version: OlmVersion
    namespace: str
    targets: tuple[str, ...]

    # -- RBAC

    def accounts(self) -> Iterator[Resource]:
        names = {
            str(entry["serviceAccountName"])
            for field in ("permissions", "clusterPermissions")
            for entry in self._entries(field)
        }
        for name in sorted(names - {"default", ""}):
            yield self._object("v1", "ServiceAccount", name, self.namespace)

    def roles(self) -> Iterator[Resource]:
        for entry in self._entries("clusterPermissions"):
            yield from self._grant(str(entry["serviceAccountName"]), entry.get("rules") or [], "")
        everywhere = self.targets == ALL_NAMESPACES
        for entry in self._entries("permissions"):
            account, rules = str(entry["serviceAccountName"]), entry.get("rules") or []
            if everywhere:
                lifted = f"{self.bundle.name}-{account}-lifted"
                yield from self._grant(account, [*rules, _NAMESPACES_RULE], "", name=lifted)
            if not everywhere or self.version == "v0":
                homes = {self.namespace, *self.targets} - {""} if self.version == "v0" else set(self.targets)
                for home in sorted(homes):
                    yield from self._grant(account, rules, home)
        yield from self._serving_roles()

    def _serving_roles(self) -> Iterator[Resource]:
        """OLM v0 lets the accounts of serving deployments check requests and read their certificate."""
        if self.version == "v1":
            return
        for deployment in self._serving_deployments():
            pod = deployment["spec"]["template"]["spec"]
            account = str(pod.get("serviceAccountName") or "default")
            secret = olm_secret_name(deployment["name"])
            read = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["get"]}
            yield from self._grant(account, [read], self.namespace, name=secret)
            yield self._binding(
                "ClusterRoleBinding", f"{secret}-auth-delegator", "", account, ("ClusterRole", "system:auth-delegator")
            )
            yield self._binding("RoleBinding", f"{secret}-auth-reader", "kube-system", account, ("Role", AUTH_READER))

    def _entries(self, field: str) -> Sequence[Mapping[str, Any]]:
        return self.bundle.strategy.get(field) or ()

    def _grant(self, account: str, rules: list[Any], home: str, *, name: str = "") -> Iterator[Resource]:
        name = name or f"{self.bundle.name}-{account}{'-' + home if home else ''}"
        kind = "Role" if home else "ClusterRole"
        yield {**self._object(f"{_RBAC}/v1", kind, name, home), "rules": copy.deepcopy(rules)}
        yield self._binding(f"{kind}Binding", name, home, account, (kind, name))

    def _binding(self, kind: str, name: str, home: str, account: str, role: tuple[str, str]) -> Resource:
        return {
            **self._object(f"{_RBAC}/v1", kind, name, home),
            "roleRef": {"apiGroup": _RBAC, "kind": role[0], "name": role[1]},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}],
        }

    # -- CRDs and other files

    def crds(self) -> Iterator[Resource]:
        webhooks = {crd: webhook for webhook in self.bundle.webhooks for crd in webhook.get("conversionCRDs") or ()}
        for manifest in self.bundle.crds:
            crd = dict(manifest.data)
            webhook = webhooks.get(manifest.name)
            if webhook is not None:
                client = {"service": {**self._service_reference(webhook), "path": webhook.get("webhookPath") or "/"}}
                conversion = {
                    "clientConfig": client,
                    "conversionReviewVersions": webhook.get("admissionReviewVersions"),
                }
                crd["spec"] = {**crd["spec"], "conversion": {"strategy": "Webhook", "webhook": conversion}}
            yield crd

    def files(self) -> Iterator[Resource]:
        for manifest in self.bundle.manifests:
            if manifest.kind in {"ClusterServiceVersion", "CustomResourceDefinition"}:
                continue
            data = copy.deepcopy(dict(manifest.data))
            if REGISTRY_KINDS.get(manifest.kind):
                data.setdefault("metadata", {})["namespace"] = self.namespace
            yield data

    # -- deployments

    def deployments(self) -> Iterator[Resource]:
        serving = {deployment["name"] for deployment in self._serving_deployments()}
        for entry in self.bundle.deployments:
            spec = copy.deepcopy(dict(entry["spec"]))
            template = spec.setdefault("template", {})
            metadata = template.setdefault("metadata", {})
            annotations = {**(metadata.get("annotations") or {}), **self.bundle.csv_annotations}
            annotations |= {"olm.targetNamespaces": ",".join(self.targets), "olm.operatorNamespace": self.namespace}
            metadata["annotations"] = annotations
            spec["revisionHistoryLimit"] = 1
            pod = template.setdefault("spec", {})
            if entry["name"] in serving:
                _mount_certificates(pod, olm_secret_name(entry["name"]), self.version)
            if self.version == "v0":
                for container in pod.get("containers") or ():
                    condition = {"name": "OPERATOR_CONDITION_NAME", "value": self.bundle.name}
                    container["env"] = [*(container.get("env") or ()), condition]
            result = self._object("apps/v1", "Deployment", entry["name"], self.namespace)
            if entry.get("label"):
                result["metadata"]["labels"] = dict(entry["label"])
            yield {**result, "spec": spec}

    def _serving_deployments(self) -> list[Mapping[str, Any]]:
        apis = self._apis() if self.version == "v0" else []
        names = {item.get("deploymentName") for item in (*self.bundle.webhooks, *apis)}
        return [deployment for deployment in self.bundle.deployments if deployment.get("name") in names]

    def _apis(self) -> Sequence[Mapping[str, Any]]:
        return (self.bundle.spec.get("apiservicedefinitions") or {}).get("owned") or ()

    # -- serving

    def services(self) -> Iterator[Resource]:
        for deployment in self._serving_deployments():
            name = deployment["name"]
            ports: list[dict[str, Any]] = []
            for item in (*self.bundle.webhooks, *self._apis()):
                if item.get("deploymentName") != name:
                    continue
                number = int(item.get("containerPort") or 443)
                port = {"name": str(number), "port": number, "targetPort": item.get("targetPort") or number}
                if port not in ports:
                    ports.append(port)
            selector = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
            service = self._object("v1", "Service", olm_service_name(name), self.namespace)
            yield {**service, "spec": {"ports": ports, "selector": dict(selector)}}
            secret = self._object("v1", "Secret", olm_secret_name(name), self.namespace)
            yield {**secret, "type": "kubernetes.io/tls"}

    def webhooks(self) -> Iterator[Resource]:
        for webhook in self.bundle.webhooks:
            kind = _WEBHOOK_KINDS.get(str(webhook.get("type")))
            if kind is None:
                continue
            service = self._service_reference(webhook)
            if webhook.get("webhookPath"):
                service["path"] = webhook["webhookPath"]
            entry: dict[str, Any] = {"name": webhook.get("generateName"), "clientConfig": {"service": service}}
            entry.update({key: copy.deepcopy(webhook[key]) for key in _WEBHOOK_FIELDS if webhook.get(key) is not None})
            if self.targets != ALL_NAMESPACES:
                expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(self.targets)}
                entry["namespaceSelector"] = {"matchExpressions": [expression]}
            name = str(webhook.get("generateName"))
            yield {**self._object("admissionregistration.k8s.io/v1", kind, name, ""), "webhooks": [entry]}

    def api_services(self) -> Iterator[Resource]:
        for api in self._apis() if self.version == "v0" else ():
            group, version = api.get("group"), api.get("version")
            spec = {"group": group, "version": version, "service": self._service_reference(api)}
            yield {**self._object("apiregistration.k8s.io/v1", "APIService", f"{version}.{group}", ""), "spec": spec}

    def _service_reference(self, item: Mapping[str, Any]) -> dict[str, Any]:
        port = int(item.get("containerPort") or 443)
        return {"namespace": self.namespace, "name": olm_service_name(str(item.get("deploymentName"))), "port": port}

    @staticmethod
    def _object(api_version: str, kind: str, name: str, namespace: str) -> Resource:
        metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _mount_certificates(pod: dict[str, Any], secret: str, version: OlmVersion) -> None:
    """Put OLM's certificate volumes into a pod: v0 replaces them, v1 removes what is at its paths first."""
    if version == "v1":
        _remove_protected(pod)
    for name, path in OLM_PATHS.items():
        items = [{"key": key, "path": file} for key, file in OLM_FILES[name].items()]
        volume = {"name": name, "secret": {"secretName": secret, "items": items}}
        others = [v for v in pod.get("volumes") or () if v.get("name") != name]
        pod["volumes"] = [*others, volume]
        mount = {"name": name, "mountPath": path}
        for container in pod.get("containers") or ():
            mounts = container.setdefault("volumeMounts", [])
            for number, existing in enumerate(mounts):
                if existing.get("name") == name:
                    break
                if existing.get("mountPath") == path:
                    mounts[number] = mount
                    break
            else:
                mounts.append(mount)


def _remove_protected(pod: dict[str, Any]) -> None:
    paths = set(OLM_PATHS.values())
    gone = set(OLM_PATHS)
    for container in pod.get("containers") or ():
        gone.update(mount["name"] for mount in container.get("volumeMounts") or () if mount.get("mountPath") in paths)
    pod["volumes"] = [volume for volume in pod.get("volumes") or () if volume.get("name") not in gone]
    for container in pod.get("containers") or ():
        container["volumeMounts"] = [m for m in container.get("volumeMounts") or () if m.get("name") not in gone]
