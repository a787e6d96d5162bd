"""How the operator talks to pods, and what it makes of Secrets that cannot be used for that."""

from __future__ import annotations

import ssl

import pytest

from e2e.operator.certificates import Authority
from memcached_operator.fleet import Access
from unit.operator.factory import memcached

ISSUED = {name: text.encode() for name, text in Authority().issue("cache").items()}
WITH_TLS = memcached(tls={"secretName": "certificate"})


def test_an_authority_may_have_comments_in_any_language() -> None:
    """What raised here kept the status from ever being written."""
    for comment in ("# Autorité de certification\n".encode(), b"# Autorit\xe9\n"):
        access = Access.of(WITH_TLS, None, ISSUED | {"ca.crt": comment + ISSUED["ca.crt"]}, None)
        assert access is not None
        assert access.tls is not None
        assert access.tls.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("wrong", [{"ca.crt": b"\x30\x82\x01\xff\x00"}, {"ca.crt": b"", "tls.crt": b"none"}])
def test_what_is_no_certificate_is_no_way_to_the_pods(wrong: dict[str, bytes]) -> None:
    assert Access.of(WITH_TLS, None, ISSUED | wrong, None) is None


def test_a_way_in_is_made_once_because_every_reconciliation_asks_for_it() -> None:
    """Milliseconds each: more than everything else that a reconciliation computes."""
    first, again = (Access.of(WITH_TLS, None, dict(ISSUED), None) for _ in range(2))
    assert first == again
    other = {name: text.encode() for name, text in Authority().issue("cache").items()}
    assert Access.of(WITH_TLS, None, other, None) != first
