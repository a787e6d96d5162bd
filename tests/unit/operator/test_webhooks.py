"""What a person is warned of, and what is filled in for them."""

from __future__ import annotations

import pytest

from memcached_operator.webhooks import filled_in, warnings
from unit.operator.factory import memcached


def test_a_plain_resource_gives_no_warning() -> None:
    assert warnings(memcached(), lambda name: False) == []


def test_every_missing_secret_is_named_once_it_is_missing() -> None:
    resource = memcached(tls={"secretName": "certificate"}, auth={"secretName": "users"})
    assert warnings(resource, lambda name: True) == []
    assert warnings(resource, lambda name: name == "users") == [
        "Secret certificate does not exist in namespace shop: pods wait until it does"
    ]
    assert len(warnings(resource, lambda name: False)) == 2


def test_passwords_in_clear_text_are_warned_of() -> None:
    resource = memcached(auth={"secretName": "users"})
    assert warnings(resource, lambda name: True) == [
        "spec.auth without spec.tls: passwords cross the network in clear text"
    ]


@pytest.mark.parametrize(
    ("size", "bounds", "filled"),
    [
        (1, {"minSize": 3, "maxSize": 5}, 3),
        (4, {"minSize": 3, "maxSize": 5}, 4),
        (9, {"maxSize": 5}, 5),
        (0, {"minSize": 3, "maxSize": 5}, 0),
        (9, None, 9),
    ],
)
def test_a_new_cache_has_the_size_at_once_that_its_autoscaler_would_give_it(
    size: int, bounds: dict[str, int] | None, filled: int
) -> None:
    spec = {"size": size, **({"autoscaling": bounds} if bounds else {})}
    assert filled_in({"kind": "Memcached", "spec": spec})["spec"] == {**spec, "size": filled}


@pytest.mark.parametrize(
    "manifest",
    [
        {"kind": "Memcached"},
        {"spec": "x"},
        {"spec": {"autoscaling": "x"}},
        {"spec": {"autoscaling": {"minSize": 2}}},
        {"spec": {"autoscaling": {"minSize": "2", "maxSize": 3}}},
        {"spec": {"size": "1", "autoscaling": {"minSize": 2, "maxSize": 3}}},
        {"spec": {"size": 1, "autoscaling": {"minSize": 4, "maxSize": 3}}},
    ],
)
def test_what_the_api_server_will_refuse_is_left_to_it(manifest: dict[str, object]) -> None:
    assert filled_in(manifest) == manifest
