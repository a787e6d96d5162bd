"""Digests from a real registry on loopback: lock, verify, pin; bundle images pushed to it and read back by opm."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from integration.bundle.test_catalog import channels, make_version, stream
from integration.bundle.tools import BUILT_TOOLS, ROOT, run
from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.bundle_dir import load_bundle
from kopf_sdk.bundle.catalog.build import CatalogOptions, catalog_from_template
from kopf_sdk.bundle.chart import read_chart
from kopf_sdk.bundle.lock import ImageLock, load_lock, pin_text, resolve_lock
from kopf_sdk.bundle.oci import bundle_image, layout_tar
from kopf_sdk.bundle.registry import Credentials, Registry, find_credentials
from kopf_sdk.bundle.render import RenderOptions, fetch_chart, render
from kopf_sdk.errors import SdkError
from kopf_sdk.olm.source import open_source
from kopf_sdk.testing.cluster.kubectl import Kubectl
from oci_registry import serving


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """A registry on loopback; its host and port."""
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def pushed(registry: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A bundle image in the registry: its reference by tag and its digest."""
    directory = make_version(tmp_path_factory.mktemp("bundle"), "1.0.0")
    return push(directory, f"{registry}/org/kube-green-bundle:v1.0.0")


def push(directory: Path, reference: str) -> tuple[str, str]:
    files = bundle_image(load_bundle(directory), reference)
    layout = directory.parent / f"{directory.name}-layout"
    for name, content in files.items():
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).write_bytes(content)
    done = run("crane", "push", "--insecure", str(layout), reference)
    assert done.returncode == 0, done.stderr
    return reference, json.loads(files["index.json"])["manifests"][0]["digest"]


def test_the_registry_sees_the_digest_that_was_computed(pushed: tuple[str, str]) -> None:
    reference, digest = pushed

    facts = Registry().resolve(reference)

    assert facts.digest == digest
    assert facts.platforms == ("linux/amd64",)


def test_a_bundle_to_run_comes_out_of_a_registry(pushed: tuple[str, str], tmp_path: Path) -> None:
    with open_source(pushed[0], Kubectl()) as source:
        assert source.bundle.files == load_bundle(make_version(tmp_path, "1.0.0")).files
        assert (source.reference, source.archive) == (pushed[0], None)


def test_labels_of_the_image_are_the_annotations(pushed: tuple[str, str], tmp_path: Path) -> None:
    labels = json.loads(run("crane", "config", "--insecure", pushed[0]).stdout)["config"]["Labels"]

    assert labels == load_bundle(make_version(tmp_path, "1.0.0")).annotations


def test_a_lock_made_online_pins_offline(pushed: tuple[str, str], tmp_path: Path) -> None:
    reference, digest = pushed
    path = tmp_path / "images.lock.yaml"
    path.write_text(resolve_lock([reference], Registry()).dump())

    lock = load_lock(path)

    name = reference.rpartition(":")[0]
    assert pin_text({"args": [f"--image={reference}", f"{reference}-other"]}, lock) == {
        "args": [f"--image={name}@{digest}", f"{reference}-other"]
    }
    assert lock.missing([reference, "example.com/x:1"]) == ["example.com/x:1"]


def test_mirrors_are_asked_instead(pushed: tuple[str, str], registry: str) -> None:
    mirrored = Registry(mirrors={"quay.io/org": f"{registry}/org"})

    assert mirrored.resolve("quay.io/org/kube-green-bundle:v1.0.0").digest == pushed[1]


def test_a_missing_image_is_an_error_that_names_it(registry: str) -> None:
    with pytest.raises(SdkError, match=r"org/nothing:v1: 127.0.0.1:\d+: there is no such image"):
        Registry().resolve(f"{registry}/org/nothing:v1")


def test_an_unreachable_registry_is_an_error() -> None:
    with pytest.raises(SdkError, match="cannot be reached"):
        Registry().resolve("127.0.0.1:1/org/x:v1")


@pytest.fixture
def guarded(registry: str) -> Iterator[str]:
    """The registry behind a gate that wants a token for user `u` with password `p`."""

    class Gate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/token"):
                good = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"u:p").decode()
                self.answer(200 if good else 401, json.dumps({"token": "secret"}).encode())
            elif self.headers.get("Authorization") != "Bearer secret":
                realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="test"'
                self.answer(401, b"{}", {"WWW-Authenticate": realm})
            else:
                import urllib.request  # noqa: PLC0415

                forward = urllib.request.Request(
                    f"http://{registry}{self.path}", headers={"Accept": self.headers["Accept"]}
                )
                with urllib.request.urlopen(forward, timeout=10) as response:
                    self.answer(
                        200,
                        response.read(),
                        {"Docker-Content-Digest": response.headers.get("Docker-Content-Digest", "")},
                    )

        def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for key, value in (headers or {}).items():
                if value:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_credentials_of_docker_login_are_used(guarded: str, pushed: tuple[str, str], tmp_path: Path) -> None:
    config = {"auths": {guarded: {"auth": base64.b64encode(b"u:p").decode()}}}
    (tmp_path / "config.json").write_text(json.dumps(config))

    registry = Registry(find_credentials(tmp_path / "config.json"))

    assert registry.resolve(f"{guarded}/org/kube-green-bundle:v1.0.0").digest == pushed[1]


def test_wrong_credentials_are_an_error(guarded: str, pushed: tuple[str, str]) -> None:
    registry = Registry(Credentials({guarded: ("u", "wrong")}))

    with pytest.raises(SdkError, match="no token"):
        registry.resolve(f"{guarded}/org/kube-green-bundle:v1.0.0")


def test_the_image_is_the_same_every_time(tmp_path: Path) -> None:
    bundle = load_bundle(make_version(tmp_path, "1.0.0"))

    assert layout_tar(bundle_image(bundle, "x:1")) == layout_tar(bundle_image(bundle, "x:1"))


@pytest.mark.parametrize(
    "flags",
    [
        {"generateMinorChannels": True},
        {"generateMajorChannels": True},
        {"generateMajorChannels": True, "generateMinorChannels": True},
    ],
)
def test_a_semver_template_links_as_opm_links_it(registry: str, tmp_path: Path, flags: dict[str, bool]) -> None:
    names = ["1.0.0", "1.0.1", "1.1.0", "1.1.1", "1.1.2", "2.0.0", "2.1.0"]
    references = {}
    for version in names:
        references[version], _ = push(make_version(tmp_path, version), f"{registry}/org/kube-green:v{version}")
    template = {
        "schema": "olm.semver",
        **flags,
        "candidate": {"bundles": [{"image": f"v{version}"} for version in names]},
        "stable": {"bundles": [{"image": f"v{version}"} for version in names[:5]]},
    }
    (tmp_path / "ours.yaml").write_text(yaml.dump(template))
    text = re.sub(r"image: v(\S+)", lambda match: f"image: {references[match[1]]}", yaml.dump(template))
    (tmp_path / "theirs.yaml").write_text(text)
    done = run(
        "opm",
        "alpha",
        "render-template",
        "semver",
        str(tmp_path / "theirs.yaml"),
        "-o",
        "json",
        "--use-http",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr

    catalog = catalog_from_template(tmp_path / "ours.yaml", CatalogOptions("{name}"))

    theirs = [blob for blob in stream(done.stdout) if blob["schema"] in {"olm.channel", "olm.package"}]
    assert channels([*catalog.packages, *catalog.channels]) == channels(theirs)


def test_an_empty_lock_pins_nothing() -> None:
    assert pin_text("quay.io/a/b:1", ImageLock()) == "quay.io/a/b:1"


def test_a_basic_template_becomes_the_catalog_that_opm_renders(registry: str, tmp_path: Path) -> None:
    names = ["1.0.0", "1.1.0"]
    references = {}
    for version in names:
        references[version], _ = push(make_version(tmp_path, version), f"{registry}/org/kube-green-basic:v{version}")
    entries = [
        {"schema": "olm.package", "name": "kube-green", "defaultChannel": "stable"},
        {
            "schema": "olm.channel",
            "package": "kube-green",
            "name": "stable",
            "entries": [{"name": "kube-green.v1.0.0"}, {"name": "kube-green.v1.1.0", "replaces": "kube-green.v1.0.0"}],
        },
    ]

    def template(images: list[str]) -> str:
        bundles = [{"schema": "olm.bundle", "image": image} for image in images]
        return yaml.dump({"schema": "olm.template.basic", "entries": [*entries, *bundles]})

    (tmp_path / "ours.yaml").write_text(template([f"v{version}" for version in names]))
    (tmp_path / "theirs.yaml").write_text(template([references[version] for version in names]))
    command = ("alpha", "render-template", "basic", str(tmp_path / "theirs.yaml"), "-o", "json", "--use-http")
    done = run("opm", *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    catalog = catalog_from_template(tmp_path / "ours.yaml", CatalogOptions("{name}"))

    theirs = stream(done.stdout)
    assert channels([*catalog.packages, *catalog.channels]) == channels(
        [blob for blob in theirs if blob["schema"] in {"olm.channel", "olm.package"}]
    )
    assert {bundle["name"] for bundle in catalog.bundles} == {
        blob["name"] for blob in theirs if blob["schema"] == "olm.bundle"
    }


def test_a_chart_comes_from_a_registry(registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BUILT_TOOLS}:{os.environ['PATH']}")
    folder = ROOT / "charts" / "memcached-operator"
    assert run("helm", "package", str(folder), "--destination", str(tmp_path)).returncode == 0
    archive = next(tmp_path.glob("*.tgz"))
    pushed = run("helm", "push", str(archive), f"oci://{registry}/charts", "--plain-http")
    assert pushed.returncode == 0, pushed.stderr
    version = read_chart(folder).metadata["version"]
    (tmp_path / "pulled").mkdir()

    path, chart = fetch_chart(f"oci://{registry}/charts/memcached-operator:{version}", tmp_path / "pulled")

    assert chart.metadata["name"] == "memcached-operator"
    options = RenderOptions(release="memcached-operator")
    assert render(path, options) == render(folder, options)
