"""A rotation is done when it was seen on every pod; memcached's stand-ins here are what the operator saw."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from e2e.operator.certificates import Authority
from memcached_operator.certificates import leaf
from memcached_operator.credentials import REVOKED, Credentials, auth_file, read_revoked
from memcached_operator.rotation import Seen, Wanted, missing, reloads_users
from memcached_operator.wire import Login

ALICE, BOB = Login("alice", "a"), Login("bob", "b")
CERTIFICATE = leaf({name: text.encode() for name, text in Authority().issue("cache").items()})
SERVED = CERTIFICATE.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("wanted", "seen", "words"),
    [
        (Wanted(), Seen(), ""),
        (Wanted(CERTIFICATE), Seen(SERVED), ""),
        (Wanted(CERTIFICATE), Seen(b"another"), "serves another certificate"),
        (Wanted(CERTIFICATE), Seen(b"another", unreachable="verify failed"), "serves another certificate"),
        (Wanted(CERTIFICATE, (ALICE,)), Seen(SERVED, unreachable="reset"), "cannot be tried (reset)"),
        (Wanted(CERTIFICATE), Seen(None, unreachable="refused"), "cannot be tried (refused)"),
        (Wanted(valid=(ALICE, BOB)), Seen(refused=("bob",)), "does not accept bob yet"),
        (
            Wanted(CERTIFICATE, (ALICE,), (BOB,)),
            Seen(b"another", ("alice",), ("bob",)),
            "serves another certificate and does not accept alice yet and still accepts bob",
        ),
    ],
)
def test_what_is_missing_is_said_in_words(wanted: Wanted, seen: Seen, words: str) -> None:
    assert missing(wanted, seen) == words


def test_every_change_is_another_state() -> None:
    states = [Wanted(), Wanted(CERTIFICATE), Wanted(valid=(ALICE,)), Wanted(revoked=(ALICE,)), Wanted(valid=(BOB,))]
    states.append(Wanted(valid=(Login("alice", "another"),)))
    assert len({wanted.digest for wanted in states}) == len(states)


@pytest.mark.parametrize(
    ("version", "reloads"),
    [("1.6.39", False), ("1.6.40", True), ("1.7.0", True), ("1.5.99", False), ("1.6.40-rc1", True), ("odd", True)],
)
def test_the_auth_file_is_read_again_since_a_version(version: str, reloads: bool) -> None:
    assert reloads_users(version) is reloads


def test_who_could_log_in_before_is_remembered_until_told_otherwise() -> None:
    operator = Login("operator", "o")
    before = {"users": auth_file((operator, ALICE)).encode(), REVOKED: auth_file((BOB,)).encode()}
    changed = Credentials(operator, (Login("alice", "new"),))
    assert read_revoked(before, changed.valid) == (ALICE, BOB)
    assert read_revoked(before, (operator, ALICE, BOB)) == ()
    assert read_revoked({}, changed.valid) == ()
