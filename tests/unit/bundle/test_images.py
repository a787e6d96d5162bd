"""Images are found where they are, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.bundle.images import FoundImage, find_images, main_image, related_images, split_reference


def found(**container: Any) -> list[str]:
    spec = {"template": {"spec": {"containers": [{"name": "m", **container}]}}}
    return [image.reference for image in find_images({"d": spec}, {})]


@pytest.mark.parametrize(
    ("container", "images"),
    [
        ({"image": "nginx"}, ["nginx"]),
        ({"args": ["--acme-http01-solver-image=quay.io/a/solver:v1"]}, ["quay.io/a/solver:v1"]),
        ({"args": ["--proxy-image", "envoy:v2"]}, ["envoy:v2"]),
        ({"env": [{"name": "PROXY_IMAGE", "value": "org/proxy"}]}, ["org/proxy"]),
        ({"env": [{"name": "LIST", "value": "a=quay.io/x/y:1\nb=quay.io/x/y:2"}]}, ["quay.io/x/y:1", "quay.io/x/y:2"]),
        ({"env": [{"name": "URL", "value": "https://example.com/a:80"}]}, []),
        ({"env": [{"name": "IMAGE_PULL_POLICY", "value": "IfNotPresent"}]}, []),
        ({"args": ["--leader-elect=true", "--metrics-bind-address=:8080", "--config=/etc/x.yaml"]}, []),
        ({"env": [{"name": "ADDRESS", "value": "service.namespace.svc:443"}]}, []),
    ],
)
def test_where_images_are(container: dict[str, Any], images: list[str]) -> None:
    assert found(**container) == images


def test_a_key_of_a_config_map_is_like_a_variable() -> None:
    data = {"RELATED_IMAGE_DB": "db:11", "DB_IMAGE": "org/db", "IMAGE_NAME": "db", "IMAGE_PULL_POLICY": "Always"}

    assert related_images(find_images({}, {"env": data}), {}, []) == [
        {"name": "db", "image": "db:11"},
        {"name": "db-2", "image": "org/db"},
    ]


@pytest.mark.parametrize(
    ("package", "images", "own"),
    [
        ("secrets-operator", ["a/kube-rbac-proxy:v0.18", "b/secrets-operator:1.4"], "b/secrets-operator:1.4"),
        ("gpu-operator", ["a/feature-discovery:v1", "b/gpu:v25"], "b/gpu:v25"),
        ("lb", ["a/frr:10", "b/controller:v0.15.2"], "b/controller:v0.15.2"),
        ("lb", ["a/auth-proxy:1", "b/x:2", "c/y:3"], "b/x:2"),
        ("lb", [], ""),
    ],
)
def test_the_operators_own_image(package: str, images: list[str], own: str) -> None:
    assert main_image(images, package, "0.15.2") == own


def test_given_images_are_never_overwritten() -> None:
    listed = related_images([FoundImage("quay.io/a/db:2", "x")], {"db": "quay.io/a/db:1"}, [])

    assert listed == [{"name": "db", "image": "quay.io/a/db:1"}, {"name": "db-2", "image": "quay.io/a/db:2"}]


def test_an_image_is_listed_once_and_may_be_excluded() -> None:
    twice = [FoundImage("a/b:1", "x"), FoundImage("a/b:1", "y"), FoundImage("c/d:1", "z")]

    assert related_images(twice, {}, ["c/d:1"]) == [{"name": "b", "image": "a/b:1"}]


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("a", ("a", "", "")),
        ("localhost:5000/a/b", ("localhost:5000/a/b", "", "")),
        ("localhost:5000/a/b:1@sha256:00", ("localhost:5000/a/b", "1", "sha256:00")),
    ],
)
def test_references(reference: str, parts: tuple[str, str, str]) -> None:
    assert split_reference(reference) == parts
