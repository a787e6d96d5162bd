"""Webhooks: defaulting, validating and conversion, on one HTTPS port.

The `*WebhookConfiguration` and the CRD's conversion stanza belong to Helm or OLM; this only answers. Paths are
kubebuilder's, so that charts and bundles can be written without looking here.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import ValidationError

from kopf_sdk.api import CustomResource
from kopf_sdk.runtime.kinds import Kind, Manifest
from kopf_sdk.runtime.metrics import Metrics

__all__ = ["Conversion", "Defaulting", "DeniedError", "Validating", "Webhook", "json_patch", "webhook_app"]

R = TypeVar("R", bound=CustomResource)
BODY_LIMIT = 8 * 1024**2
"""Bytes of a review: three times what etcd takes, because an update carries two objects."""

log = logging.getLogger(__name__)


class DeniedError(Exception):
    """Raised by a validation: the resource is refused, with this message for the user."""


class Webhook:
    """Something that is served under a path."""

    @property
    def path(self) -> str:
        """The URL path."""
        raise NotImplementedError

    def review(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the `request` of a review with its `response`, without the UID."""
        raise NotImplementedError


@dataclass(frozen=True)
class Defaulting(Webhook, Generic[R]):
    """Fills in what the CRD's own defaults cannot."""

    resource: type[R]
    default: Callable[[Manifest], Manifest]
    """Gets the resource as the user wrote it; returns it completed. It is called again with its own result."""

    @property
    def path(self) -> str:
        """`/mutate-<group>-<version>-<kind>`."""
        return _path("mutate", self.resource)

    def review(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer with the difference as a JSON patch (RFC 6902)."""
        before = request.get("object")
        if before is None:
            return {"allowed": True}
        try:
            after = self.default(json.loads(json.dumps(before)))
        except DeniedError as error:
            return _denied(str(error))
        patch = json_patch(before, after)
        if not patch:
            return {"allowed": True}
        return {
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
        }


@dataclass(frozen=True)
class Validating(Webhook, Generic[R]):
    """Refuses what the CRD's schema and rules cannot."""

    resource: type[R]
    validate: Callable[[R | None, R | None], Sequence[str] | None]
    """Gets the new resource (None for a deletion) and the old one (None for a creation); returns warnings for the user.
    Raises DeniedError."""

    @property
    def path(self) -> str:
        """`/validate-<group>-<version>-<kind>`."""
        return _path("validate", self.resource)

    def review(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer with yes or no. A resource on its way out is not held up."""
        raw = request.get("object")
        if raw is not None and "deletionTimestamp" in raw["metadata"]:
            return {"allowed": True}
        try:
            new = self.resource.model_validate(raw) if raw is not None else None
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)]
            return _denied("; ".join(lines))
        try:
            old = self.resource.model_validate(request["oldObject"]) if request.get("oldObject") else None
        except ValidationError:
            old = None  # what is stored may be older than the rules; it must be possible to repair it
        try:
            warnings = self.validate(new, old)
        except DeniedError as error:
            return _denied(str(error))
        return {"allowed": True, **({"warnings": list(warnings)} if warnings else {})}


@dataclass(frozen=True)
class Conversion(Webhook):
    """Converts resources between the versions of their CRDs."""

    convert: Callable[[Manifest, str], Manifest]
    """Gets a resource and the wanted apiVersion; returns it in that version. Metadata but labels and annotations must
    stay as they are. Raises DeniedError."""

    @property
    def path(self) -> str:
        """`/convert`."""
        return "/convert"

    def review(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer with the converted resources, or with why it cannot be done."""
        version = request["desiredAPIVersion"]
        try:
            converted = [
                item if item["apiVersion"] == version else {**self.convert(item, version), "apiVersion": version}
                for item in request["objects"]
            ]
        except DeniedError as error:
            return {"convertedObjects": [], "result": {"status": "Failure", "message": str(error)}}
        return {"convertedObjects": converted, "result": {"status": "Success"}}


def webhook_app(webhooks: Sequence[Webhook], metrics: Metrics) -> web.Application:
    """Return the application that serves them all."""
    app = web.Application(client_max_size=BODY_LIMIT)
    for webhook in webhooks:
        app.router.add_post(webhook.path, _endpoint(webhook, metrics))
    return app


def _endpoint(webhook: Webhook, metrics: Metrics) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        started = time.monotonic()
        code = 500
        try:
            try:
                review = await request.json()
                asked = review["request"]
                uid = asked["uid"]
                about = {"apiVersion": review["apiVersion"], "kind": review["kind"]}
            except (ValueError, KeyError, TypeError) as error:
                code = 400
                return web.Response(status=code, text=f"not a review: {error!r}\n")
            try:
                answer = webhook.review(asked)
            except Exception:
                # What this means for the user is for the failurePolicy to say.
                log.exception("webhook %s failed", webhook.path)
                return web.Response(status=code, text="the webhook failed; see the operator's log\n")
            code = 200
            return web.json_response({**about, "response": {"uid": uid, **answer}})
        finally:
            metrics.webhook(webhook.path, code, time.monotonic() - started)

    return handle


def json_patch(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) from one document to the other. A list that differs is replaced."""
    if before == after and type(before) is type(after):
        return []
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [{"op": "replace", "path": path, "value": after}]
    patch: list[dict[str, Any]] = []
    for key in sorted(before.keys() | after.keys()):
        at = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            patch.append({"op": "remove", "path": at})
        elif key not in before:
            patch.append({"op": "add", "path": at, "value": after[key]})
        else:
            patch += json_patch(before[key], after[key], at)
    return patch


def _path(verb: str, resource: type[CustomResource]) -> str:
    kind = Kind.of(resource)
    return f"/{verb}-{kind.group.replace('.', '-')}-{kind.version}-{kind.kind.lower()}"


def _denied(message: str) -> dict[str, Any]:
    return {"allowed": False, "status": {"code": 422, "reason": "Invalid", "message": message}}
