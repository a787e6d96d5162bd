"""Container registries asked for digests and platforms, over the registry API, with credentials and mirrors.

OCI distribution: https://github.com/opencontainers/distribution-spec; tokens: https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kopf_sdk.bundle.images import split_reference
from kopf_sdk.bundle.lock import ImageFacts
from kopf_sdk.errors import SdkError

__all__ = ["Credentials", "Registry", "find_credentials", "plain_http"]

_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DOCKER_HUB = "docker.io"
_HOSTS = {_DOCKER_HUB: "registry-1.docker.io"}
_TIMEOUT = 30
_PLAIN_HTTP = re.compile(r"^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$")


@dataclass(frozen=True, slots=True)
class Credentials:
    """User names and passwords by registry host, as `docker login` stores them."""

    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def of(self, host: str) -> tuple[str, str] | None:
        return self.logins.get(host) or self.logins.get(
            f"https://{host}/v1/" if host == _DOCKER_HUB else f"https://{host}"
        )


def plain_http(host: str) -> bool:
    """Tell whether a registry is on this machine, where nobody has certificates (as Docker does)."""
    return _PLAIN_HTTP.match(host) is not None


def find_credentials(path: Path | None = None) -> Credentials:
    """Return the logins in a Docker or Podman configuration file: the given one, or where the two look for theirs.

    Raises
    ------
    SdkError
        The file given is not there, or is no such configuration.
    """
    if path is not None and not path.is_file():
        raise SdkError(
            f"{path}: no such file", hint="Give a config.json as `docker login` or `podman login` writes it."
        )
    places = [Path(os.environ[name]) for name in ("REGISTRY_AUTH_FILE",) if os.environ.get(name)]
    places.append(Path(os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))) / "config.json")
    places.append(Path(os.environ.get("XDG_RUNTIME_DIR", "/run")) / "containers" / "auth.json")
    chosen = path or next((place for place in places if place.is_file()), None)
    if chosen is None:
        return Credentials()
    try:
        auths = json.loads(chosen.read_text(encoding="utf-8")).get("auths") or {}
        logins = {}
        for host, entry in auths.items():
            if entry.get("auth"):
                user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
                logins[_host_of(host)] = (user, password)
    except (ValueError, AttributeError) as error:
        raise SdkError(f"{chosen}: not a registry configuration: {error}") from error
    return Credentials(logins)


def _host_of(key: str) -> str:
    """`https://index.docker.io/v1/` is Docker Hub's key; others are hosts, some with a scheme."""
    host = re.sub(r"^https?://", "", key).split("/")[0]
    return _DOCKER_HUB if host in {"index.docker.io", "registry-1.docker.io"} else host


@dataclass(slots=True, eq=False, repr=False)
class Registry:
    """Asks registries. `mirrors`: prefix of references → prefix to ask instead."""

    credentials: Credentials = field(default_factory=Credentials)
    mirrors: Mapping[str, str] = field(default_factory=dict)
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def resolve(self, reference: str) -> ImageFacts:
        """Return digest and platforms of an image.

        Raises
        ------
        SdkError
            The registry cannot be reached, or does not show the image to this user.
        """
        host, repository, version = self._place(reference)
        body, headers = self._get(host, repository, f"manifests/{version}", reference)
        digest = headers.get("Docker-Content-Digest") or f"sha256:{hashlib.sha256(body).hexdigest()}"
        manifest = self._json(body, reference)
        if isinstance(manifest.get("manifests"), list):
            platforms = [item.get("platform") or {} for item in manifest["manifests"]]
        else:
            config, _ = self._get(host, repository, f"blobs/{(manifest.get('config') or {}).get('digest')}", reference)
            platforms = [self._json(config, reference)]
        named = {
            f"{p.get('os')}/{p.get('architecture')}"
            for p in platforms
            if p.get("architecture") not in {None, "unknown"}
        }
        return ImageFacts(digest, tuple(sorted(named)))

    def fetch(self, reference: str, digest: str = "") -> bytes:
        """Return a blob of an image's repository by its digest, or without one the image's manifest (or index).

        Raises
        ------
        SdkError
            The registry cannot be reached, or does not show the image to this user.
        """
        host, repository, version = self._place(reference)
        if not digest:
            return self._get(host, repository, f"manifests/{version}", reference)[0]
        try:
            return self._get(host, repository, f"blobs/{digest}", reference)[0]
        except SdkError:  # manifests that an index names are no blobs everywhere
            return self._get(host, repository, f"manifests/{digest}", reference)[0]

    def _place(self, reference: str) -> tuple[str, str, str]:
        repository, tag, digest = split_reference(reference)
        first = repository.split("/")[0]
        if "/" not in repository or not (set(".:") & set(first) or first == "localhost"):
            repository = f"{_DOCKER_HUB}/{repository if '/' in repository else 'library/' + repository}"
        for prefix in sorted(self.mirrors, key=len, reverse=True):
            if repository == prefix or repository.startswith(prefix.rstrip("/") + "/"):
                repository = self.mirrors[prefix].rstrip("/") + repository[len(prefix.rstrip("/")) :]
                break
        host, _, path = repository.partition("/")
        return host, path, digest or tag or "latest"

    def _get(self, host: str, repository: str, what: str, reference: str) -> tuple[bytes, Mapping[str, str]]:
        scheme = "http" if plain_http(host) else "https"
        url = f"{scheme}://{_HOSTS.get(host, host)}/v2/{repository}/{what}"
        headers = {"Accept": _ACCEPT}
        token = self._tokens.get((host, repository))
        if token:
            headers["Authorization"] = token
        try:
            return _fetch(url, headers)
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            if error.code == 401 and not token and challenge:
                self._tokens[(host, repository)] = self._authorize(host, repository, challenge, reference)
                return self._get(host, repository, what, reference)
            reason = {401: "the credentials are refused", 403: "access is refused", 404: "there is no such image"}.get(
                error.code, f"HTTP {error.code}"
            )
            raise SdkError(
                f"{reference}: {host}: {reason}",
                hint="`docker login` stores credentials; mirrors are set in bundle.yaml: images.mirrors.",
            ) from error
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            detail = getattr(error, "reason", error)
            raise SdkError(
                f"{reference}: {host} cannot be reached: {detail}",
                hint="Without network, use the lock file: it needs no registry.",
            ) from error

    def _authorize(self, host: str, repository: str, challenge: str, reference: str) -> str:
        login = self.credentials.of(host)
        basic = "Basic " + base64.b64encode(f"{login[0]}:{login[1]}".encode()).decode() if login else ""
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            if not basic:
                raise SdkError(f"{reference}: {host} asks for a login", hint=f"docker login {host}")
            return basic
        fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        query = {"service": fields.get("service", ""), "scope": fields.get("scope") or f"repository:{repository}:pull"}
        url = f"{fields.get('realm', '')}?{urllib.parse.urlencode({k: v for k, v in query.items() if v})}"
        try:
            body, _ = _fetch(url, {"Authorization": basic} if basic else {})
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            raise SdkError(
                f"{reference}: {host}: no token from {fields.get('realm')}: {error}", hint=f"docker login {host}"
            ) from error
        answer = self._json(body, reference)
        return f"Bearer {answer.get('token') or answer.get('access_token')}"

    @staticmethod
    def _json(body: bytes, reference: str) -> dict[str, Any]:
        try:
            value = json.loads(body)
        except ValueError as error:
            raise SdkError(f"{reference}: the registry's answer is not JSON") from error
        if not isinstance(value, dict):
            raise SdkError(f"{reference}: the registry's answer is no object")
        return value


def _fetch(url: str, headers: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
    if not url.startswith(("https://", "http://")):
        raise urllib.error.URLError(f"{url!r} is no HTTP address")
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310  # the scheme was just checked
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
        return response.read(), response.headers
