"""The Secrets that the operator makes: its own login, and the auth file that memcached reads."""

from __future__ import annotations

from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest
from memcached_operator.credentials import REVOKED, Credentials, auth_file
from memcached_operator.paths import AUTH_FILE

__all__ = ["auth", "login"]


def login(memcached: Memcached, credentials: Credentials) -> Manifest:
    """Return the Secret with the operator's own user; probes log in with it too."""
    operator = credentials.operator
    return manifest(
        memcached,
        "v1",
        "Secret",
        naming.login_secret(memcached),
        type="kubernetes.io/basic-auth",
        stringData={"username": operator.user, "password": operator.password},
    )


def auth(memcached: Memcached, credentials: Credentials) -> Manifest:
    """Return the Secret with memcached's auth file: the operator's user first, then the resource's.

    As long as a rotation is under way, those who shall not log in any more stand beside it, so that it can be seen that
    they cannot, also after a restart of the operator.
    """
    content = {AUTH_FILE.rpartition("/")[2]: auth_file(credentials.valid)}
    if credentials.revoked:
        content[REVOKED] = auth_file(credentials.revoked)
    return manifest(
        memcached,
        "v1",
        "Secret",
        naming.auth_secret(memcached),
        type="Opaque",
        stringData=content,
    )
