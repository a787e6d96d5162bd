"""Our verdicts on bundles agree with operator-sdk's, finding by finding, on good bundles and on broken ones."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integration.bundle.tools import GOLDEN_BUNDLES, golden, run
from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.bundle_dir import load_bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.validate import SUITES

Csv = dict[str, Any]


def upstream_findings(directory: Path, *options: str) -> set[str]:
    """Return what `operator-sdk bundle validate` finds, as comparable lines."""
    done = run("operator-sdk", "bundle", "validate", str(directory), "-o", "json-alpha1", *options)
    assert done.stdout.startswith("{"), f"operator-sdk did not judge the bundle at all: {done.stderr}"
    outputs = json.loads(done.stdout)["outputs"] or []
    return {comparable(line) for item in outputs for line in split(item["message"])}


def our_findings(directory: Path, *suites: str) -> set[str]:
    bundle = load_bundle(directory)
    found = [finding for suite in suites for rule in SUITES[suite] for finding in rule(bundle)]
    assert all(finding.upstream for finding in found), "every finding of these suites has an upstream counterpart"
    return {comparable(finding.upstream) for finding in found}


def split(message: str) -> list[str]:
    """operator-sdk reports all problems of the format as one message."""
    if "error validating format" not in message:
        return [message]
    return message.rsplit("Bundle validation errors: ", maxsplit=1)[-1].split(",")


def comparable(message: str) -> str:
    """Drop what differs without meaning: sizes in bytes, the order of Go's maps, Go's own parse errors, white space."""
    message = message.replace('\\"', '"').strip()
    message = re.sub(r"(gzip size exceeded|size with gzip).*", r"\1", message)
    message = re.sub(r"(url \S* is invalid|email \S* is invalid).*", r"\1", message)
    message = re.sub(r"Value \[\{\[.*", "", message)
    listing = re.search(r"Migrate the API\(s\) for (.*)", message)
    if listing:
        message = message.replace(listing[1], ",".join(sorted(re.findall(r"\w+: \(\[.*?\]\)", listing[1]))))
    return re.sub(r"\s+", " ", message)


@pytest.mark.parametrize("name", GOLDEN_BUNDLES)
@pytest.mark.parametrize(
    ("suites", "options"),
    [(("default",), ()), (("default", "operatorframework"), ("--select-optional", "suite=operatorframework"))],
)
def test_agrees_on_golden_bundles(name: str, suites: tuple[str, ...], options: tuple[str, ...]) -> None:
    directory = golden(name) / "bundle"

    assert our_findings(directory, *suites) == upstream_findings(directory, *options)


def no_modes(csv: Csv) -> None:
    csv["spec"]["installModes"] = []


def unsupported_modes(csv: Csv) -> None:
    for mode in csv["spec"]["installModes"]:
        mode["supported"] = False


def bad_name(csv: Csv) -> None:
    csv["metadata"]["name"] = "Kube_Green.v0.7.1"


def long_replaces(csv: Csv) -> None:
    csv["spec"]["replaces"] = "a" * 70


def broken_examples(csv: Csv) -> None:
    csv["metadata"]["annotations"]["alm-examples"] = json.dumps([{"apiVersion": "other.io/v1", "kind": "Thing"}])


def no_examples(csv: Csv) -> None:
    del csv["metadata"]["annotations"]["alm-examples"]


def bad_kube_version(csv: Csv) -> None:
    csv["spec"]["minKubeVersion"] = "v1.20"


def no_display_name(csv: Csv) -> None:
    del csv["spec"]["displayName"]


def no_strategy(csv: Csv) -> None:
    del csv["spec"]["install"]["strategy"]


def wrong_case(csv: Csv) -> None:
    csv["metadata"]["annotations"]["olm.skiprange"] = "<1.0.0"


def properties_annotation(csv: Csv) -> None:
    csv["metadata"]["annotations"]["olm.properties"] = "[]"


def not_owned(csv: Csv) -> None:
    csv["spec"]["customresourcedefinitions"]["owned"] = []


def owned_elsewhere(csv: Csv) -> None:
    csv["spec"]["customresourcedefinitions"]["owned"].append(
        {"name": "others.example.com", "version": "v1", "kind": "Other"}
    )


def conversion_beside_own_namespace(csv: Csv) -> None:
    csv["spec"]["installModes"][0]["supported"] = True
    csv["spec"]["webhookdefinitions"][0]["conversionCRDs"] = ["sleepinfos.kube-green.com"]


def bad_hub_metadata(csv: Csv) -> None:
    csv["spec"] |= {
        "provider": {"name": " "},
        "maintainers": [{"name": "A"}, {"name": "B", "email": "nowhere"}],
        "links": [{"name": "x"}, {"name": "y", "url": "example.com"}],
        "icon": [{"base64data": "", "mediatype": "image/bmp"}, {"base64data": "eA==", "mediatype": "image/png"}],
    }
    csv["metadata"]["annotations"] |= {"capabilities": "Superb", "categories": "Security, Cooking"}


def no_icon(csv: Csv) -> None:
    del csv["spec"]["icon"]


def no_version(csv: Csv) -> None:
    csv["spec"]["version"] = "0.0.0"


def no_min_kube_version(csv: Csv) -> None:
    csv["spec"].pop("minKubeVersion", None)


def no_deployments(csv: Csv) -> None:
    del csv["spec"]["install"]["spec"]["deployments"]


def no_requests(csv: Csv) -> None:
    csv["spec"]["install"]["spec"]["deployments"][0]["spec"]["template"]["spec"]["containers"][0]["resources"] = {}


def crd_rights(csv: Csv) -> None:
    rule = {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["get", "patch"],
    }
    csv["spec"]["install"]["spec"]["clusterPermissions"][0]["rules"].append(rule)


def crd_without_description(csv: Csv) -> None:
    csv["spec"]["customresourcedefinitions"]["owned"][0].pop("description", None)


# Broken together, as far as one breakage does not hide another: operator-sdk takes a second per run.
MUTATIONS: list[list[Callable[[Csv], None]]] = [
    [no_modes, bad_name, broken_examples, bad_kube_version, no_display_name, wrong_case, bad_hub_metadata],
    [unsupported_modes, long_replaces, no_examples, no_min_kube_version, no_icon, no_version, owned_elsewhere],
    [not_owned, no_strategy, no_deployments, properties_annotation],
    [conversion_beside_own_namespace, no_requests, crd_rights, crd_without_description],
]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of a golden bundle, to be broken."""
    shutil.copytree(golden("kube-green") / "bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("mutations", MUTATIONS, ids=lambda group: "-".join(m.__name__ for m in group[:2]))
def test_agrees_on_a_broken_csv(broken: Path, mutations: list[Callable[[Csv], None]]) -> None:
    path = broken / "manifests" / "kube-green.clusterserviceversion.yaml"
    csv = yaml.load_file(path)
    for mutate in mutations:
        mutate(csv)
    path.write_text(yaml.dump(csv))

    ours = our_findings(broken, "default", "operatorframework")

    assert len(ours) >= len(mutations)
    assert ours == upstream_findings(broken, "--select-optional", "suite=operatorframework")


def test_agrees_on_a_service_account_that_olm_makes(broken: Path) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kube-green-controller-manager"}}
    (broken / "manifests" / "account.yaml").write_text(yaml.dump(account))

    ours = our_findings(broken, "default")

    assert ours == upstream_findings(broken)
    assert any("invalid service account" in line for line in ours)


def test_agrees_on_missing_annotations(broken: Path) -> None:
    path = broken / "metadata" / "annotations.yaml"
    data = yaml.load_file(path)
    prefix = "operators.operatorframework.io.bundle"
    del data["annotations"][f"{prefix}.package.v1"]
    data["annotations"] |= {f"{prefix}.channels.v1": "", f"{prefix}.channel.default.v1": ""}
    path.write_text(yaml.dump(data))

    assert our_findings(broken, "default") == upstream_findings(broken)


def test_agrees_on_a_bundle_that_is_too_large(broken: Path) -> None:
    (broken / "manifests" / "large.yaml").write_text(
        yaml.dump(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"noise": noise(1_400_000)}}
        )
    )

    ours = our_findings(broken, "default")

    assert ours == upstream_findings(broken)
    assert any("maximum bundle compressed size" in line for line in ours)


def noise(length: int) -> str:
    """Text that does not compress, the same every time."""
    import random  # noqa: PLC0415

    return "".join(random.Random(1).choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", k=length))


def test_errors_fail_where_operator_sdk_fails(broken: Path) -> None:
    bundle = load_bundle(broken)

    errors = [f for rule in SUITES["default"] for f in rule(bundle) if f.level is Level.ERROR]

    assert (not errors) == (run("operator-sdk", "bundle", "validate", str(broken)).returncode == 0)
