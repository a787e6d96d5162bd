"""Whether every memcached serves the certificate and accepts the users that the Secrets hold now.

A Secret that changed says nothing: the kubelet brings it late, and memcached reads it only when told. So each memcached
is tried: by a TLS handshake, by a login of everybody who may log in, and by one of everybody who no longer may.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from memcached_operator.wire import Login

__all__ = ["Rotation", "Seen", "Wanted", "missing", "reloads_users", "told"]

_RELOADING = (1, 6, 40)
"""memcached reads its auth file again on SIGHUP since this version."""


@dataclass(frozen=True)
class Wanted:
    """What every memcached of a resource shall serve, accept and refuse."""

    certificate: x509.Certificate | None = None
    """What it shall serve; None without TLS."""
    valid: tuple[Login, ...] = ()
    """Everybody who may log in."""
    revoked: tuple[Login, ...] = ()
    """Who could log in before, and shall not any more."""

    @property
    def digest(self) -> str:
        """What tells one state of the Secrets from another. The operator's random password salts it."""
        parts = [str(self.certificate.serial_number) if self.certificate else ""]
        parts += [f"{login.user}:{login.password}" for login in (*self.valid, Login("", ""), *self.revoked)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Seen:
    """What one memcached did when it was tried.

    Attributes
    ----------
    certificate
        The certificate that it served, in DER; None where none was asked for.
    refused
        Users who may log in and could not.
    accepted
        Users who may not any more and could.
    unreachable
        Why it could not be tried; empty when it could.
    """

    certificate: bytes | None = None
    refused: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    unreachable: str = ""

    @property
    def users_pending(self) -> bool:
        """Whether it still has other users."""
        return bool(self.refused or self.accepted)


@dataclass(frozen=True)
class Rotation:
    """How far the pods of a resource are.

    Attributes
    ----------
    pending
        What is still missing, by the pod's name.
    stale
        Why a pod has to be replaced to get the new users, by the pod's name.
    stuck
        Whether it takes longer than it may.
    wait
        Seconds until the pods should be looked at again; 0 when there is nothing to wait for.
    """

    pending: Mapping[str, str] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)
    stuck: bool = False
    wait: float = 0

    @property
    def words(self) -> str:
        """What is missing, for people."""
        return "; ".join(f"pod {name} {words}" for name, words in sorted(self.pending.items()))


def missing(wanted: Wanted, seen: Seen) -> str:
    """Return what a memcached still has to take over, in words; empty when it is done."""
    words = []
    untold = seen.unreachable and seen.certificate is None
    if wanted.certificate and not untold and seen.certificate != wanted.certificate.public_bytes(Encoding.DER):
        words.append("serves another certificate")
    elif seen.unreachable:  # a client that trusts the new authority alone cannot talk to the one before
        words.append(f"cannot be tried ({seen.unreachable})")
    if seen.refused:
        words.append(f"does not accept {', '.join(seen.refused)} yet")
    if seen.accepted:
        words.append(f"still accepts {', '.join(seen.accepted)}")
    return " and ".join(words)


def told(wanted: Wanted) -> str:
    """Return what is true once every pod has what is wanted."""
    words = []
    if wanted.certificate:
        words.append(f"serves the certificate with serial {wanted.certificate.serial_number:x}")
    if wanted.valid:
        words.append(f"accepts {', '.join(login.user for login in wanted.valid)}")
    if wanted.revoked:
        words.append(f"refuses what {', '.join(login.user for login in wanted.revoked)} logged in with before")
    return f"Every pod {' and '.join(words)}"


def reloads_users(version: str) -> bool:
    """Tell whether a memcached of this version (like `1.6.45`) reads its auth file again without a restart."""
    numbers = version.split("-", maxsplit=1)[0].split(".")
    return not all(number.isdecimal() for number in numbers) or tuple(map(int, numbers)) >= _RELOADING
