"""Names, and the PROJECT file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.scaffold.project import Api, Project, load, to_text

MEMCACHED = Api(group="cache", version="v1alpha1", kind="Memcached", controller=True, validation=True)


@pytest.mark.parametrize(
    "project",
    [
        Project(name="demo", domain="example.com"),
        Project(name="demo", domain="example.com", multigroup=True, scope="namespace", apis=(MEMCACHED,)),
        Project(name="demo", domain="x.y.z", apis=(MEMCACHED, Api("cache", "v1", "Node", namespaced=False))),
    ],
)
def test_it_is_read_as_it_was_written(project: Project, tmp_path: Path) -> None:
    (tmp_path / "PROJECT").write_text(to_text(project))
    assert load(tmp_path) == project


def test_the_file_is_operator_sdks() -> None:
    text = to_text(Project(name="demo", domain="example.com", multigroup=True, apis=(MEMCACHED,)))
    assert text == (
        "domain: example.com\nlayout:\n- python.kopf.dev/v1\nmultigroup: true\nprojectName: demo\nresources:\n"
        "- api:\n    crdVersion: v1\n    namespaced: true\n  controller: true\n  domain: example.com\n  group: cache\n"
        "  kind: Memcached\n  version: v1alpha1\n  webhooks:\n    validation: true\n    webhookVersion: v1\n"
        "version: '3'\n"
    )


@pytest.mark.parametrize("name", ["", "Demo", "1demo", "demo_operator", "demo-", "d" * 41])
def test_bad_project_names(name: str) -> None:
    with pytest.raises(SdkError, match="--name"):
        Project(name=name, domain="example.com")


@pytest.mark.parametrize("domain", ["", "Example.com", "example..com", "-a.com", "a b", f"{'a' * 64}.com"])
def test_bad_domains(domain: str) -> None:
    with pytest.raises(SdkError, match="--domain"):
        Project(name="demo", domain=domain)


@pytest.mark.parametrize(
    ("group", "version", "kind", "message"),
    [
        ("Cache", "v1", "Memcached", "--group"),
        ("cache", "1", "Memcached", "--version"),
        ("cache", "v1gamma1", "Memcached", "--version"),
        ("cache", "v1", "memcached", "--kind"),
        ("cache", "v1", "Mem-cached", "--kind"),
        ("cache", "v1", "Class", "word of Python"),
        ("cache", "v1", "Request", "--kind Request: the modules of a kind have another use"),
        ("1cache", "v1", "Memcached", "--group"),
        ("c" * 64, "v1", "Memcached", "--group"),
    ],
)
def test_bad_names_of_kinds(group: str, version: str, kind: str, message: str) -> None:
    with pytest.raises(SdkError, match=message) as refused:
        Api(group=group, version=version, kind=kind)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layout: [go.kubebuilder.io/v4]", "layout is not python.kopf.dev/v1"),
        ("layout: [python.kopf.dev/v1]\ndomain: example.com", "projectName is missing"),
        ("a: [", "is no YAML"),
        ("layout: [python.kopf.dev/v1]\nprojectName: demo\ndomain: a.b\nresources: [x]", "no list of kinds"),
        ("layout: [python.kopf.dev/v1]\nprojectName: Bad\ndomain: a.b", "PROJECT: --name 'Bad'"),
    ],
)
def test_files_of_others(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "PROJECT").write_text(text)
    with pytest.raises(SdkError, match=message):
        load(tmp_path)
