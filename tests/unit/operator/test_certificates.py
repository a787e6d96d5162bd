"""That a certificate ends is told in time, once, and again of the next one; one that nobody can use is named."""

from __future__ import annotations

import datetime as dt

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from e2e.operator.certificates import Authority
from memcached_operator.certificates import BadCertificateError, Certificates, leaf, warn_from

AUTHORITY = Authority()
DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


def content(begins: dt.timedelta = -DAY, ends: dt.timedelta = DAY) -> dict[str, bytes]:
    issued = AUTHORITY.issue("cache", begins=begins, ends=ends)
    return {name: text.encode() for name, text in issued.items()}


@pytest.mark.parametrize(
    ("days", "warned"),
    [(1, dt.timedelta(hours=4.8)), (90, 18 * DAY), (365, 21 * DAY), (3650, 21 * DAY)],
)
def test_people_are_warned_in_the_last_fifth_but_not_for_months(days: int, warned: dt.timedelta) -> None:
    certificate = leaf(content(-DAY, (days - 1) * DAY))
    assert certificate.not_valid_after_utc - warn_from(certificate) == warned


def test_an_end_is_told_once_until_it_is_there() -> None:
    certificates = Certificates()
    first, second = leaf(content(ends=10 * DAY)), leaf(content(ends=10 * DAY))
    early = certificates.look("shop/cache", {"tls": first}, now=NOW)
    assert (early.problems, early.warnings) == ([], [])
    soon = certificates.look("shop/cache", {"tls": first}, now=NOW + dt.timedelta(seconds=early.wait))
    assert [f"Secret tls: the certificate with serial {first.serial_number:x}" in text for text in soon.warnings] == [
        True
    ]
    assert certificates.look("shop/cache", {"tls": first}, now=NOW + 9 * DAY).warnings == []
    assert certificates.look("shop/cache", {"tls": second}, now=NOW + 9 * DAY).warnings != []
    late = certificates.look("shop/cache", {"tls": second}, now=NOW + 11 * DAY)
    assert [problem.reason for problem in late.problems] == ["CertificateExpired"]
    assert (late.warnings, late.wait) == ([], 0)


def test_metrics_are_there_as_long_as_the_resource_is() -> None:
    there = {"cache", "other"}
    certificates = Certificates(lambda namespace, name: name in there)
    registry = CollectorRegistry()
    registry.register(certificates)
    certificate = leaf(content())
    for name in ("cache", "other"):
        certificates.look(f"shop/{name}", {"tls": certificate}, now=NOW)
    there.remove("other")
    certificates.look("shop/plain", {}, now=NOW)
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    labels = '{memcached="cache",namespace="shop",secret="tls"}'
    found = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
    assert found == {
        f"memcached_certificate_not_before_timestamp_seconds{labels}": certificate.not_valid_before_utc.timestamp(),
        f"memcached_certificate_expiration_timestamp_seconds{labels}": certificate.not_valid_after_utc.timestamp(),
    }


def test_the_first_certificate_of_a_chain_is_the_served_one() -> None:
    good = content()
    chain = good | {"tls.crt": good["tls.crt"] + AUTHORITY.pem.encode()}
    assert leaf(chain, authority=True).subject.rfc4514_string() == "CN=cache"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tls.crt": b""}, "it has no tls.crt"),
        ({"tls.key": b""}, "it has no tls.key"),
        ({"ca.crt": b""}, "it has no ca.crt"),
        ({"tls.crt": b"x"}, "tls.crt holds no PEM certificate"),
        ({"ca.crt": b"x"}, "ca.crt holds no PEM certificate"),
        ({"tls.key": b"x"}, "tls.key holds no PEM key"),
        ({"tls.key": content()["tls.key"]}, "tls.key is not the key of tls.crt"),
    ],
)
def test_what_nobody_can_speak_tls_with_is_named(wrong: dict[str, bytes], words: str) -> None:
    with pytest.raises(BadCertificateError, match=words):
        leaf(content() | wrong, authority=True)
