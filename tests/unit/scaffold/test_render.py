"""What the templates write, for projects of every shape, before anybody has touched it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kopf_sdk.scaffold.merge import carry_out, plan
from kopf_sdk.scaffold.project import Api, Project

CACHE = Api("cache", "v1", "Memcached", controller=True)
SITE = Api("web", "v1beta1", "Site", namespaced=False, controller=True)
PROJECTS = {
    "fresh": Project("demo", "example.com"),
    "a kind": Project("demo", "example.com", apis=(CACHE,)),
    "a type": Project("demo", "example.com", apis=(Api("cache", "v1", "Memcached"),)),
    "versions": Project("demo", "example.com", apis=(CACHE, Api("cache", "v2", "Memcached", conversion=True))),
    "defaulting": Project("demo", "example.com", apis=(Api("cache", "v1", "Memcached", defaulting=True),)),
    "validation": Project("demo", "example.com", apis=(Api("cache", "v1", "Memcached", validation=True),)),
    "groups": Project(
        "demo",
        "example.com",
        multigroup=True,
        apis=(CACHE, SITE, Api("web", "v1", "Site", False, True, False, True, True, True)),
    ),
}


@pytest.fixture(scope="module", params=PROJECTS.values(), ids=PROJECTS.keys())
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    carry_out(plan(root, request.param))
    return root


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=["lint", "format"])
def test_its_style_is_the_one_it_asks_for(root: Path, check: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "--no-cache", "."], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
