"""The life of a CA and its certificate, step by step, on a clock of our own."""

from __future__ import annotations

import datetime as dt
import random
import ssl
from dataclasses import replace

import pytest
from cryptography import x509

from kopf_sdk.runtime.keys import Certificates, Lifetimes, advanced

NAMES = ("demo-webhook.operators.svc", "10.250.0.2")
START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
LIFETIMES = Lifetimes()


def step(current: Certificates | None, now: dt.datetime, *, announced: bool = True) -> Certificates:
    return advanced(current, NAMES, now=now, lifetimes=LIFETIMES, announced=announced)


@pytest.fixture(scope="module")
def first() -> Certificates:
    return step(None, START)


def test_the_first_certificate_is_for_the_servers_names_and_signed_by_the_ca(first: Certificates) -> None:
    alternative = first.served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.DNSName) == ["demo-webhook.operators.svc"]
    assert [str(ip) for ip in alternative.get_values_for_type(x509.IPAddress)] == ["10.250.0.2"]
    assert first.served_by_newest
    assert first.trusted == [first.newest]
    assert ssl.create_default_context(cadata=first.authorities).cert_store_stats()["x509_ca"] == 1


def test_nothing_changes_before_it_is_time(first: Certificates) -> None:
    for days in range(60):
        assert step(first, START + days * DAY) is first


def test_clocks_that_are_a_little_behind_accept_it(first: Certificates) -> None:
    assert step(first, START - dt.timedelta(minutes=4)) is first


def test_the_certificate_is_renewed_when_a_third_of_its_time_is_left(first: Certificates) -> None:
    renewed = step(first, START + 61 * DAY)
    assert renewed.certificate != first.certificate
    assert renewed.authorities == first.authorities
    assert renewed.served.not_valid_after_utc == START + 151 * DAY


def test_a_ca_is_replaced_in_three_steps_with_both_trusted_meanwhile(first: Certificates) -> None:
    due = START + 487 * DAY
    serving = step(first, due - DAY)

    both = step(serving, due)
    assert both.trusted[1:] == serving.trusted
    assert both.certificate == serving.certificate, "the API server does not know the new CA yet"

    assert step(both, due + dt.timedelta(minutes=4)) is both, "API servers need time to see it"
    assert step(both, due + DAY, announced=False) is both, "nobody serves what was not announced"

    moved = step(both, due + dt.timedelta(minutes=5))
    assert moved.authorities == both.authorities, "other replicas still serve the old certificate"
    assert moved.served_by_newest

    assert step(moved, due + dt.timedelta(minutes=9)) is moved
    alone = step(moved, due + dt.timedelta(minutes=10))
    assert alone.trusted == [moved.newest]
    assert alone.certificate == moved.certificate


def test_what_is_served_is_trusted_by_the_step_before_and_the_step_after() -> None:
    """Four years with visits at random times: any two states that follow each other understand each other."""
    dice = random.Random(7)
    now, current = START, step(None, START)
    seen = 0
    while now < START + 4 * 365 * DAY:
        now += dt.timedelta(seconds=dice.uniform(10, 20 * 86400))
        following = step(current, now, announced=dice.random() < 0.9)
        if following != current:
            seen += 1
            for served, trusting in ((current, following), (following, current)):
                Certificates(trusting.authorities, trusting.authority_key, served.certificate, served.key)
        assert now < following.served.not_valid_after_utc
        current = following
    assert seen > 20


@pytest.mark.parametrize("years", [3, 10])
def test_after_a_long_sleep_everything_is_made_anew(first: Certificates, years: int) -> None:
    woken = step(first, START + years * 365 * DAY, announced=False)
    assert woken.trusted != first.trusted
    assert len(woken.trusted) == 1
    assert woken.served_by_newest


def test_an_expired_certificate_does_not_wait(first: Certificates) -> None:
    woken = step(first, START + 100 * DAY, announced=False)
    assert woken.authorities == first.authorities
    assert woken.served.not_valid_after_utc == START + 190 * DAY


def test_another_name_gets_another_certificate(first: Certificates) -> None:
    other = advanced(first, ("other.operators.svc",), now=START + DAY, lifetimes=LIFETIMES, announced=True)
    assert other.authorities == first.authorities
    assert other.certificate != first.certificate


@pytest.mark.parametrize("part", ["authorities", "authority_key", "certificate", "key"])
def test_parts_that_do_not_belong_together_are_refused(first: Certificates, part: str) -> None:
    other = step(None, START)
    with pytest.raises(ValueError):  # noqa: PT011 (the parser's own messages, too)
        replace(first, **{part: getattr(other, part)})
    with pytest.raises(ValueError):  # noqa: PT011
        replace(first, **{part: "nonsense"})


def test_keys_are_not_printed(first: Certificates) -> None:
    assert "PRIVATE KEY" not in repr(first) + str(first)
