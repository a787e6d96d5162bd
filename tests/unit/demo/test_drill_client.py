"""How the drill's client spreads keys and counts requests."""

from __future__ import annotations

from collections import Counter

from drill_client import Tally, place, value_of

KEYS = [f"item-{number}" for number in range(5000)]
THREE = [f"cache-{ordinal}:11211" for ordinal in range(3)]
FIVE = [*THREE, "cache-3:11211", "cache-4:11211"]


def test_keys_are_spread_evenly_and_a_server_more_takes_only_its_share() -> None:
    before = {key: place(key, THREE) for key in KEYS}
    assert all(abs(count / len(KEYS) - 1 / 3) < 0.03 for count in Counter(before.values()).values())
    moved = [key for key in KEYS if place(key, FIVE) != before[key]]
    assert abs(len(moved) / len(KEYS) - 2 / 5) < 0.03
    assert {place(key, FIVE) for key in moved} == set(FIVE) - set(THREE)
    assert before == {key: place(key, THREE[::-1]) for key in KEYS}, "the order must not matter"


def test_no_two_items_have_the_same_value() -> None:
    assert len({value_of(number) for number in range(1000)}) == 1000


def test_a_request_that_was_answered_at_last_has_not_failed() -> None:
    tally = Tally()
    tally.add(seconds=0.1, tries=1, answered=True)
    tally.add(seconds=2.5, tries=9, answered=True)
    tally.add(seconds=30, tries=99, answered=False)
    assert (tally.requests, tally.failed, tally.retried, tally.slowest) == (3, 1, 2, 30)
