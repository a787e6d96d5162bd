"""images.toml and where its packages come from."""

from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.images.debian import Mirrors, Package, mirrors
from kopf_sdk.testing.images.definition import Definition, load_definitions
from kopf_sdk.testing.tools import load_pins


def test_every_definition_can_be_made() -> None:
    tools = load_pins().tools
    for name, image in load_definitions().items():
        assert set(image.programs.values()) <= set(tools), name
        assert bool(image.packages) == bool(image.suites), name
        assert image.version_of in {"", *image.packages, *image.programs.values()}, name
        assert not image.applets or "busybox-static" in image.packages, name


def test_included_image_comes_first() -> None:
    images = load_definitions()
    base, built = images["python"], images["python-build"]
    assert set(base.packages) < set(built.packages)
    assert "python3-pip" not in base.packages
    assert not base.applets, "no shell in the operator's image"
    assert built.links == base.links


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[images.a]\nreference = 'a:1'\npackage = ['x']", r"images\.a\.package: Extra inputs"),
        ("[images.a]\nreference = 'a:1'\ninclude = 'b'", r"images\.a\.include: 'b'"),
        ("[images.a]\nreference = 'a:{version}'", r"`version_of` belong together"),
        ("[images.a]\nreference = 'a:1'\nlinks = {'/bin/x' = 'y'}", r"images\.a\.links"),
        ("[images.a]\nreference = 'a:1'\nlinks = {'../x' = 'y'}", r"images\.a\.links"),
        ("[images.a\n", "images.toml: "),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "images.toml"
    path.write_text(text)
    with pytest.raises(SdkError, match=message):
        load_definitions(path)


def test_too_old_a_version_is_refused() -> None:
    image = Definition(reference="localhost/memcached:{version}", version_of="memcached", at_least="1.6.40")
    assert image.named("1.6.45") == "localhost/memcached:1.6.45"
    assert image.named("1.10.0") == "localhost/memcached:1.10.0"
    with pytest.raises(SdkError, match=r"memcached is 1\.6\.38, at least 1\.6\.40 is needed"):
        image.named("1.6.38")


@pytest.mark.parametrize(
    ("version", "upstream"), [("1.6.45-1", "1.6.45"), ("1:1.38.0-3+b1", "1.38.0"), ("2.0", "2.0"), ("1-2-3", "1-2")]
)
def test_upstream_version(version: str, upstream: str) -> None:
    assert Package("demo", version, Path("demo.deb")).upstream == upstream


def test_mirror_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOPF_SDK_DEBIAN_MIRROR", raising=False)
    with pytest.raises(SdkError, match="name no Debian mirror"):
        mirrors(tmp_path)

    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "other.list").write_text("deb https://packages.example.com/apt stable main\n")
    (tmp_path / "sources.list.d" / "debian.sources").write_text(
        "Types: deb\nURIs: http://mirror.example.com/debian/\nSuites: bookworm\n\n"
        "Types: deb\nURIs: http://mirror.example.com/debian-security\nSuites: bookworm-security\n"
    )
    here = Mirrors("http://mirror.example.com/debian", "http://mirror.example.com/debian-security")
    assert mirrors(tmp_path) == here

    (tmp_path / "sources.list").write_text(
        "# deb http://off.example.com/debian x main\ndeb [arch=amd64] http://first.example.com/debian x main\n"
    )
    assert mirrors(tmp_path).archive == "http://first.example.com/debian"
    assert mirrors(tmp_path).security == here.security

    monkeypatch.setenv("KOPF_SDK_DEBIAN_MIRROR", "http://named.example.com/debian/")
    assert mirrors(tmp_path).archive == "http://named.example.com/debian"


def test_source_line_demands_a_signature() -> None:
    known = Mirrors("http://a.example.com/debian", "http://s.example.com/debian-security")
    signed = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert known.source("sid") == f"{signed} http://a.example.com/debian sid main"
    assert known.source("bookworm-security").startswith(f"{signed} http://s.example.com/debian-security ")
