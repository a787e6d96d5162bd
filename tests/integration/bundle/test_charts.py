"""Small charts, one per difficulty, rendered by the real Helm and turned into bundles.

Each test names the defect of the usual way (`helm template | operator-sdk generate bundle`) that it guards against.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.bundle.tools import ROOT, run
from kopf_sdk.bundle.build import BuildRequest, build
from kopf_sdk.bundle.bundle_dir import bundle_from_files
from kopf_sdk.bundle.commands import build_bundle, diff_bundle
from kopf_sdk.bundle.convert import Conversion
from kopf_sdk.bundle.fate import Disposition, Fate, Level
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.bundle.validate import validate
from kopf_sdk.errors import SdkError

CHARTS = ROOT / "tests" / "fixtures" / "charts"


def request(chart: str, *sets: str, profile: str = "olm-v0", config: Path | None = None) -> BuildRequest:
    return BuildRequest(str(CHARTS / chart), PROFILES[profile], sets=sets, config=config)


def converted(chart: str, *sets: str, **options: Any) -> Conversion:
    return build(request(chart, *sets, **options))


def fates(conversion: Conversion) -> dict[str, Fate]:
    table = {f"{fate.ref.kind} {fate.ref.name}": fate for fate in conversion.fates}
    assert len(table) == len(conversion.fates) == len(conversion.rendered), "one fate for each object"
    return table


def spec(conversion: Conversion) -> dict[str, Any]:
    found: dict[str, Any] = conversion.csv["spec"]
    return found


def strategy(conversion: Conversion) -> dict[str, Any]:
    found: dict[str, Any] = spec(conversion)["install"]["spec"]
    return found


def rules(conversion: Conversion, field: str, account: str) -> list[dict[str, Any]]:
    return next(
        entry["rules"] for entry in strategy(conversion).get(field, ()) if entry["serviceAccountName"] == account
    )


def codes(conversion: Conversion, level: Level) -> list[str]:
    return sorted(notice.code for notice in conversion.notices if notice.level is level)


@pytest.mark.parametrize(
    "chart", ["api-server", "certgen", "described", "every-fate", "namespaced", "rights", "webhooks"]
)
def test_operator_sdk_accepts_the_bundle_and_nothing_differs(chart: str, tmp_path: Path) -> None:
    report = build_bundle(request(chart), tmp_path / "bundle", check=False)

    assert [item for item in (*report.notices, *report.differences) if item.level is Level.ERROR] == []
    assert [finding for finding in report.findings if finding.level is Level.ERROR] == []
    assert run("operator-sdk", "bundle", "validate", str(tmp_path / "bundle")).returncode == 0
    assert not build_bundle(request(chart), tmp_path / "bundle", check=True).failed, (
        "the same input gives the same bytes"
    )
    assert not diff_bundle(request(chart), tmp_path / "bundle").failed


class TestFates:
    """Defect: objects dropped without a message, hooks shipped as permanent objects, Helm's labels left."""

    def test_each_object_has_one(self) -> None:
        table = fates(converted("every-fate"))

        assert {name: fate.disposition.value for name, fate in table.items()} == {
            "CustomResourceDefinition widgets.example.com": "csv",
            "CustomResourceDefinition gadgets.example.com": "csv",
            "ServiceAccount every-fate": "csv",
            "ConfigMap settings": "file",
            "Service every-fate-metrics": "file",
            "Deployment every-fate": "csv",
            "Pod every-fate-test": "left out",
        }

    def test_no_mark_of_helm_remains(self) -> None:
        conversion = converted("every-fate")

        assert not [name for name, text in conversion.files.items() if "helm.sh" in text or "managed-by: Helm" in text]
        assert "mine: 'yes'" in conversion.files["manifests/settings_v1_configmap.yaml"]

    def test_what_has_no_place_stops_the_build_and_names_three_ways_out(self, tmp_path: Path) -> None:
        report = build_bundle(request("every-fate", "stuck=true"), tmp_path / "bundle", check=False)

        stuck = {fate.ref.name: fate for fate in report.fates if fate.disposition is Disposition.NO_PLACE}
        assert set(stuck) == {"migrate", "store", "ui", "default"}
        assert all(fate.reason and len(fate.remedies) >= 3 for fate in stuck.values())
        assert {way.split(":")[0] for way in stuck["store"].remedies} == {"drop", "map", "values"}
        assert report.failed
        assert not (tmp_path / "bundle").exists(), "nothing is written"

    def test_the_ways_out_can_be_pasted(self, tmp_path: Path) -> None:
        report = build_bundle(request("every-fate", "stuck=true"), tmp_path / "bundle", check=False)
        stuck = [fate for fate in report.fates if fate.disposition is Disposition.NO_PLACE]
        drops = "\n".join(fate.remedies[0].split("\n", 1)[1] for fate in stuck)
        config = tmp_path / "bundle.yaml"
        config.write_text(f"drop:\n{drops}\n")

        conversion = converted("every-fate", "stuck=true", config=config)

        assert not conversion.failed
        companions = [
            fates(conversion)[f"{kind} migrate"] for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")
        ]
        assert {fate.disposition for fate in companions} == {Disposition.LEFT_OUT}

    def test_objects_can_be_given_another_place(self, tmp_path: Path) -> None:
        config = tmp_path / "bundle.yaml"
        config.write_text(
            "drop:\n- {kind: Job, name: migrate, reason: manual}\n- {kind: Ingress, reason: manual}\n"
            "map:\n- {kind: StatefulSet, name: store, to: deployment}\n- {kind: Widget, name: default, to: "
            "initialization-resource}\n"
        )

        conversion = converted("every-fate", "stuck=true", config=config)

        assert not conversion.failed
        assert [d["name"] for d in strategy(conversion)["deployments"]] == ["every-fate", "store"]
        annotations = conversion.csv["metadata"]["annotations"]
        assert json.loads(annotations["operatorframework.io/initialization-resource"])["kind"] == "Widget"

    def test_a_rule_that_means_nothing_is_an_error(self, tmp_path: Path) -> None:
        config = tmp_path / "bundle.yaml"
        config.write_text("drop:\n- {kind: Job, name: migrat, reason: typo}\n")

        assert codes(converted("every-fate", config=config), Level.ERROR) == ["rule-unused"]


class TestRights:
    """Defects: accounts without rules vanish, subjects match by name only, aggregated roles are empty."""

    def test_every_account_of_a_pod_exists(self) -> None:
        conversion = converted("rights")

        assert rules(conversion, "clusterPermissions", "idle") == []

    def test_an_account_of_the_same_name_elsewhere_gets_nothing(self) -> None:
        conversion = converted("rights")

        granted = rules(conversion, "clusterPermissions", "manager")
        assert not [rule for rule in granted if "delete" in rule["verbs"]]
        assert fates(conversion)["ClusterRoleBinding foreign"].disposition is Disposition.FILE

    def test_aggregated_external_and_url_rules_arrive(self) -> None:
        granted = rules(converted("rights"), "clusterPermissions", "manager")

        assert {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]} in granted
        assert {"nonResourceURLs": ["/metrics"], "verbs": ["get"]} in granted
        assert {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]} in granted

    def test_a_role_binding_to_a_cluster_role_stays_namespaced(self) -> None:
        conversion = converted("rights")

        lock = [
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "resourceNames": ["lock"],
                "verbs": ["get", "update"],
            }
        ]
        assert rules(conversion, "permissions", "manager") == rules(conversion, "permissions", "operand") == lock

    def test_rights_in_kube_system_are_widened_aloud_or_refused(self) -> None:
        mild = converted("rights")
        strong = converted("rights", "kubeSystem=true")

        assert "rbac-other-namespace" in codes(mild, Level.WARNING)
        stuck = fates(strong)["RoleBinding system-secrets"]
        assert stuck.disposition is Disposition.NO_PLACE
        assert any("cluster-permissions" in way for way in stuck.remedies)

    def test_a_role_that_depends_on_the_cluster_is_asked_for(self) -> None:
        stuck = fates(converted("rights", "view=true"))["ClusterRoleBinding view"]

        assert stuck.disposition is Disposition.NO_PLACE
        assert any("externalRoles" in way for way in stuck.remedies)

    def test_what_olm_does_not_keep_of_an_account_is_said(self) -> None:
        conversion = converted("rights")

        assert "serviceaccount-annotations" in codes(conversion, Level.WARNING)
        manager = next(d for d in strategy(conversion)["deployments"] if d["name"] == "manager")
        assert manager["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]


class TestWebhooks:
    """Defects: duplicate names, lost selectors, pods waiting for the chart's certificate, dead Services."""

    def test_definitions(self) -> None:
        definitions = {d["generateName"]: d for d in spec(converted("webhooks"))["webhookdefinitions"]}

        assert set(definitions) == {"things.example.com", "validating.things.example.com", "cthings.kb.io"}
        mutating, validating = definitions["things.example.com"], definitions["validating.things.example.com"]
        converting = definitions["cthings.kb.io"]
        assert (validating["containerPort"], validating["targetPort"], validating["webhookPath"]) == (
            443,
            9443,
            "/validate",
        )
        assert validating["objectSelector"] == {"matchLabels": {"checked": "yes"}}
        assert (mutating["failurePolicy"], mutating["reinvocationPolicy"]) == ("Ignore", "IfNeeded")
        assert (converting["containerPort"], converting["targetPort"], converting["conversionCRDs"]) == (
            8443,
            9444,
            ["things.example.com"],
        )

    def test_lost_selectors_are_said(self) -> None:
        assert codes(converted("webhooks"), Level.WARNING).count("webhook-selector-lost") == 2

    def test_conversion_allows_all_namespaces_only(self) -> None:
        modes = {mode["type"]: mode["supported"] for mode in spec(converted("webhooks"))["installModes"]}

        assert modes == {
            "OwnNamespace": False,
            "SingleNamespace": False,
            "MultiNamespace": False,
            "AllNamespaces": True,
        }

    def test_the_certificate_volume_shows_olms_secret_under_another_name(self) -> None:
        pod = strategy(converted("webhooks"))["deployments"][0]["spec"]["template"]["spec"]

        assert pod["containers"][0]["volumeMounts"] == [
            {"name": "webhook-cert-chart", "mountPath": "/certs", "readOnly": True}
        ]
        volume = pod["volumes"][0]
        assert (volume["name"], volume["secret"]["secretName"]) == ("webhook-cert-chart", "webhooks-service-cert")
        assert [(item["key"], item["path"]) for item in volume["secret"]["items"]] == [
            ("tls.crt", "tls.crt"),
            ("tls.key", "tls.key"),
            ("olmCAKey", "ca.crt"),
            ("ca.crt", "ca.crt"),
        ]

    def test_service_and_certificate_objects_go(self) -> None:
        table = fates(converted("webhooks"))

        gone = {name for name, fate in table.items() if fate.disposition is Disposition.LEFT_OUT}
        assert gone == {"Service webhooks-hook", "Issuer selfsigned", "Certificate webhooks"}

    def test_names_that_depend_on_the_namespace_are_expanded_by_the_pod(self) -> None:
        container = strategy(converted("webhooks"))["deployments"][0]["spec"]["template"]["spec"]["containers"][0]

        assert container["args"] == [
            "--cert-dir=/certs",
            "--dns-name=webhooks-service.$(POD_NAMESPACE).svc",
            "--namespace=$(POD_NAMESPACE)",
        ]
        assert container["env"] == [
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
        ]

    def test_nothing_injects_another_ca(self) -> None:
        assert "cert-manager" not in converted("webhooks").files["manifests/example.com_things.yaml"]

    def test_something_else_at_olms_path_is_an_error(self) -> None:
        assert "olm-path" in codes(converted("webhooks", "reservedPath=true"), Level.ERROR)

    def test_rules_that_olm_refuses_have_no_place(self) -> None:
        fate = fates(converted("webhooks", "group=*"))["ValidatingWebhookConfiguration webhooks"]

        assert fate.disposition is Disposition.NO_PLACE

    def test_jobs_that_make_the_certificate_go_with_all_that_serves_them(self) -> None:
        conversion = converted("certgen")

        gone = {name for name, fate in fates(conversion).items() if fate.disposition is Disposition.LEFT_OUT}
        companions = {f"{kind} certgen-job" for kind in ("ServiceAccount", "Role", "RoleBinding")}
        assert gone == {"Job certgen-create", "Job certgen-patch", "Service certgen", *companions}
        volume = strategy(conversion)["deployments"][0]["spec"]["template"]["spec"]["volumes"][0]
        assert volume["secret"]["items"] == [{"key": "tls.crt", "path": "cert"}, {"key": "tls.key", "path": "key"}]


class TestApiServices:
    """Defect: APIService dropped."""

    def test_olm_makes_the_api(self) -> None:
        conversion = converted("api-server")

        owned = spec(conversion)["apiservicedefinitions"]["owned"][0]
        assert (owned["kind"], owned["deploymentName"], owned["containerPort"]) == ("Thing", "api-server", 6443)
        reason = fates(conversion)["RoleBinding auth-reader"].reason
        assert "OLM binds" in reason
        assert fates(conversion)["Service api-server"].disposition is Disposition.LEFT_OUT

    def test_olm_v1_has_none(self) -> None:
        assert (
            fates(converted("api-server", profile="olm-v1"))["APIService v1.things.example.com"].disposition
            is Disposition.NO_PLACE
        )


class TestWatchNamespaces:
    def test_a_value_is_mapped_to_the_target_namespaces(self) -> None:
        conversion = converted("namespaced")

        container = strategy(conversion)["deployments"][0]["spec"]["template"]["spec"]["containers"][0]
        assert container["args"] == ["--scope=$(OLM_TARGET_NAMESPACES)", "--home=$(POD_NAMESPACE)"]
        assert rules(conversion, "permissions", "namespaced")[0]["resources"] == ["secrets"]
        supported = [mode["type"] for mode in spec(conversion)["installModes"] if mode["supported"]]
        assert supported == ["OwnNamespace", "SingleNamespace", "AllNamespaces"]


class TestContent:
    def test_metadata_comes_from_chart_and_artifact_hub(self) -> None:
        conversion = converted("described")

        csv, annotations = spec(conversion), conversion.csv["metadata"]["annotations"]
        assert csv["description"].startswith("# Described")
        assert csv["icon"][0]["mediatype"] == "image/svg+xml"
        assert csv["minKubeVersion"] == "1.25.0"
        assert csv["links"][0] == {"name": "Manual", "url": "https://example.com/manual"}
        assert (annotations["categories"], annotations["capabilities"]) == ("Database", "Seamless Upgrades")
        owned = csv["customresourcedefinitions"]["owned"][0]
        assert (owned["displayName"], owned["description"]) == ("The Widget", "From Artifact Hub.")
        assert json.loads(annotations["alm-examples"])[0]["metadata"] == {"name": "sample"}

    def test_images_are_found_everywhere(self) -> None:
        images = {image["name"]: image["image"] for image in spec(converted("described"))["relatedImages"]}

        assert images == {
            "busybox": "docker.io/library/busybox:1.36",
            "data-base": "quay.io/example/database:15",
            "described": "quay.io/example/described:3.1.4",
            "kafka": "quay.io/example/kafka:3.0",
            "kafka-3-1": "quay.io/example/kafka:3.1",
            "operand": "quay.io/example/operand:9",
            "proxy": "registry.example.com:5000/team/proxy:1.0",
            "sidecar": f"quay.io/example/sidecar@sha256:{'a' * 64}",
        }

    def test_created_at_is_reproducible(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "createdAt" not in converted("described").csv["metadata"]["annotations"]
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

        assert converted("described").csv["metadata"]["annotations"]["createdAt"] == "2023-11-14T22:13:20Z"

    def test_a_namespace_in_a_file_is_an_error_unless_it_is_chosen(self, tmp_path: Path) -> None:
        config = tmp_path / "bundle.yaml"
        config.write_text("namespace: crossing-system\n")

        chosen = converted("crossing", config=config)

        assert codes(converted("crossing"), Level.ERROR) == ["install-namespace"]
        assert codes(chosen, Level.ERROR) == []
        assert chosen.csv["metadata"]["annotations"]["operatorframework.io/suggested-namespace"] == "crossing-system"

    def test_large_crds_lose_descriptions_by_policy(self, tmp_path: Path) -> None:
        config = tmp_path / "bundle.yaml"
        config.write_text("size: {trimDescriptions: always}\n")

        trimmed = converted("every-fate", config=config)

        assert "trimmed" in codes(trimmed, Level.INFO)
        assert "A widget." in trimmed.files["manifests/example.com_widgets.yaml"]


class TestErrors:
    def test_a_chart_that_is_not_there(self) -> None:
        with pytest.raises(SdkError, match="no such chart"):
            build(BuildRequest("nowhere", PROFILES["olm-v0"]))

    def test_helm_says_what_is_wrong_with_a_template(self, tmp_path: Path) -> None:
        (tmp_path / "templates").mkdir()
        (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: broken\nversion: 1.0.0\n")
        (tmp_path / "templates" / "x.yaml").write_text("{{ .Values.a.b }}")

        with pytest.raises(SdkError, match=r"x\.yaml"):
            build(BuildRequest(str(tmp_path), PROFILES["olm-v0"]))

    def test_an_archive_gives_the_same_bundle_as_its_directory(self, tmp_path: Path) -> None:
        assert run("helm", "package", str(CHARTS / "described"), "--destination", str(tmp_path)).returncode == 0

        packed = build(BuildRequest(str(tmp_path / "described-3.1.4.tgz"), PROFILES["olm-v0"]))

        assert packed.files == converted("described").files


def test_profiles_disagree_about_kinds() -> None:
    bundle = bundle_from_files("", {name: text.encode() for name, text in converted("described").files.items()})

    assert not [f for f in validate(bundle, PROFILES["olm-v1"]) if f.level is Level.ERROR]
    assert [f.rule for f in validate(bundle, PROFILES["openshift"]) if f.suite == "openshift"]
