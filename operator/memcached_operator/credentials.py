"""Users and passwords: the resource's from its Secret, the operator's own, and the auth file made of both.

The file's limits are memcached's (authfile.c): 8 entries, 256 characters a line, `user:password`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memcached_operator.paths import AUTH_FILE
from memcached_operator.wire import Login

__all__ = [
    "MAX_USERS",
    "REVOKED",
    "BadUsersError",
    "Credentials",
    "auth_file",
    "new_operator_login",
    "read_auth_file",
    "read_login",
    "read_revoked",
    "read_users",
]

MAX_USERS = 7
"""memcached takes 8 entries; one is the operator's."""
_MAX_LINE = 255
REVOKED = "revoked"
"""Key beside the auth file with those that every pod still has to be seen to refuse; memcached does not read it."""
OPERATOR_USER = "operator"


class BadUsersError(Exception):
    """A Secret that cannot become an auth file; the message says which key and why."""


@dataclass(frozen=True)
class Credentials:
    """Everybody who may log in."""

    operator: Login
    users: tuple[Login, ...]
    revoked: tuple[Login, ...] = ()
    """Who could log in before and was not yet seen to be refused by every pod."""

    @property
    def valid(self) -> tuple[Login, ...]:
        """Everybody who may log in."""
        return (self.operator, *self.users)


def read_users(content: Mapping[str, bytes]) -> tuple[Login, ...]:
    """Read the content of a Secret: users as keys and passwords as values, or `username` and `password`.

    Raises
    ------
    BadUsersError
        No user, too many, or one that memcached's auth file cannot hold.
    """
    values = {key: _decode(key, value) for key, value in sorted(content.items())}
    if set(values) == {"username", "password"}:
        values = {values["username"]: values["password"]}
    if not values:
        raise BadUsersError("it holds no user")
    if len(values) > MAX_USERS:
        raise BadUsersError(f"it holds {len(values)} users; beside the operator's own there is room for {MAX_USERS}")
    for user, password in values.items():
        _check(user, password)
    return tuple(Login(user, password) for user, password in values.items())


def new_operator_login() -> Login:
    """Return a login for the operator itself, with 192 bits of randomness."""
    return Login(OPERATOR_USER, secrets.token_urlsafe(24))


def read_login(content: Mapping[str, bytes]) -> Login | None:
    """Read the operator's login from the Secret that it made; None when that is not what it made."""
    try:
        return Login(_decode("username", content["username"]), _decode("password", content["password"]))
    except (KeyError, BadUsersError):
        return None


def read_auth_file(content: Mapping[str, bytes]) -> Credentials | None:
    """Read the auth file from the Secret that the operator made; None when there is none."""
    logins = _logins(content, AUTH_FILE.rpartition("/")[2])
    if not logins or logins[0].user != OPERATOR_USER:
        return None
    return Credentials(logins[0], logins[1:])


def read_revoked(content: Mapping[str, bytes], valid: Iterable[Login]) -> tuple[Login, ...]:
    """Return who could log in by the Secret that the operator made before, and is not among the valid ones now."""
    before = (*_logins(content, AUTH_FILE.rpartition("/")[2]), *_logins(content, REVOKED))
    return tuple(dict.fromkeys(login for login in before if login not in set(valid)))


def auth_file(logins: Iterable[Login]) -> str:
    """Return memcached's auth file."""
    return "".join(f"{login.user}:{login.password}\n" for login in logins)


def _logins(content: Mapping[str, bytes], key: str) -> tuple[Login, ...]:
    lines = content.get(key, b"").decode().splitlines()
    return tuple(Login(user, password) for user, _, password in (line.partition(":") for line in lines))


def _check(user: str, password: str) -> None:
    if user == OPERATOR_USER:
        raise BadUsersError(f"the user {OPERATOR_USER!r} is the operator's own")
    if not user or not password:
        raise BadUsersError(f"the user {user!r} has an empty name or password")
    if len(f"{user}:{password}".encode()) > _MAX_LINE:
        raise BadUsersError(f"user and password of {user!r} are longer than {_MAX_LINE} characters together")
    if any(mark in user for mark in ":\r\n ") or any(mark in password for mark in "\r\n"):
        raise BadUsersError(f"the user {user!r} has a colon, a space or a line break where memcached takes none")


def _decode(key: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadUsersError(f"the value of {key!r} is no text") from error
