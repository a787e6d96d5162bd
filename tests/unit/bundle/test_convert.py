"""A rendering as a whole: what the steps make of it together, and that OLM installs the same."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.bundle_dir import bundle_from_files
from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.config import Config, MapRule, ObjectPatch, Target, load_config
from kopf_sdk.bundle.convert import Conversion, convert
from kopf_sdk.bundle.diff import compare_bundle
from kopf_sdk.bundle.fate import Disposition, Fate, Level
from kopf_sdk.bundle.init import initial_config
from kopf_sdk.bundle.metadata import gather_metadata
from kopf_sdk.bundle.objects import parse_stream
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.bundle.validate import validate

CHART = Chart({"name": "op", "version": "1.0.0"})
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: op, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: op}}
  template:
    metadata: {annotations: null, labels: {app: op}}
    spec:
      containers: [{name: manager, image: "example.com/op:1", env: null}]
"""


def converted(text: str, **config: Any) -> Conversion:
    settings = Config(**config)
    return convert(
        parse_stream(text),
        chart=CHART,
        config=settings,
        metadata=gather_metadata(CHART, settings),
        profile=PROFILES["olm-v0"],
    )


def errors(conversion: Conversion) -> list[str]:
    """Return what stands in the way of the bundle, and what OLM would install otherwise than Helm."""
    bundle = bundle_from_files("", {path: text.encode() for path, text in conversion.files.items()})
    notices = [*conversion.notices, *compare_bundle(conversion, bundle)]
    return [notice.message for notice in notices if notice.level is Level.ERROR]


def fate(conversion: Conversion, kind: str, name: str) -> Fate:
    return next(item for item in conversion.fates if (item.ref.kind, item.ref.name) == (kind, name))


def examples(conversion: Conversion) -> Any:
    return json.loads(conversion.csv["metadata"]["annotations"]["alm-examples"])


def deployment(conversion: Conversion) -> Any:
    return conversion.csv["spec"]["install"]["spec"]["deployments"][0]["spec"]


def test_null_fields_make_no_difference() -> None:
    assert errors(converted(DEPLOYMENT.replace("NAMESPACE", "somewhere"))) == []


def test_a_namespace_with_a_common_name_is_found_where_the_variable_is_called_after_it() -> None:
    text = DEPLOYMENT.replace("NAMESPACE", "op").replace("env: null", "env: [{name: OPERATOR_NAMESPACE, value: op}]")

    conversion = converted(text)

    assert errors(conversion) == []
    assert deployment(conversion)["template"]["spec"]["containers"][0]["env"][-1] == {
        "name": "OPERATOR_NAMESPACE",
        "value": "$(POD_NAMESPACE)",
    }


def test_a_label_may_hold_the_namespace() -> None:
    text = DEPLOYMENT.replace("NAMESPACE", "somewhere").replace("app: op", "app: op, home: somewhere")
    service = "\n---\n{apiVersion: v1, kind: Service, metadata: {name: m}, spec: {selector: {home: somewhere}}}"

    conversion = converted(text + service)

    assert errors(conversion) == []
    assert [notice.code for notice in conversion.notices if notice.level is Level.WARNING] == ["namespace-label"] * 2


def test_a_crd_that_serves_no_version_is_left_out() -> None:
    crd = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: olds.example.com}
spec:
  group: example.com
  names: {kind: Old, plural: olds}
  scope: Namespaced
  versions: [{name: v1, served: false, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
    conversion = converted(f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}\n---{crd}")

    assert errors(conversion) == []
    assert fate(conversion, "CustomResourceDefinition", "olds.example.com").disposition is Disposition.LEFT_OUT


WEBHOOK = """
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: somewhere}
spec: {selector: {app: op}, ports: [{port: 443, targetPort: 9443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: op}
webhooks:
- name: op.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {service: {name: hook, namespace: somewhere}}
  rules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [things]}]
"""


def test_an_empty_volume_at_olms_path_waits_for_olms_certificate() -> None:
    mount = "volumeMounts: [{name: certs, mountPath: /tmp/k8s-webhook-server/serving-certs}]"
    text = DEPLOYMENT.replace("NAMESPACE", "somewhere").replace("env: null", mount)

    conversion = converted(f"{text}      volumes: [{{name: certs, emptyDir: {{}}}}]\n---{WEBHOOK}")

    assert errors(conversion) == []
    assert [n.code for n in conversion.notices if n.level is Level.WARNING] == ["olm-path"]
    assert "volumes" not in deployment(conversion)["template"]["spec"]


CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.GROUP}
spec:
  group: GROUP
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}
"""
STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: somewhere}
spec:
  serviceName: store
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec: {containers: [{name: store, image: "example.com/store:1"}]}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]
"""
THING = "\n{apiVersion: example.com/v1, kind: Thing, metadata: {name: NAME}, spec: {}}\n"
CERTIFICATE = """
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: tls, namespace: somewhere}
spec: {secretName: tls}
"""


def test_what_init_proposes_can_be_built(tmp_path: Path) -> None:
    volumes = "      volumes: [{name: tls, secret: {secretName: tls}}]"
    settings = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {home: somewhere}}"
    things = [THING.replace("NAME", name) for name in ("one", "two")]
    things.append(THING.replace("NAME", "unfit").replace("spec: {}", "spec: none"))
    objects = [DEPLOYMENT.replace("NAMESPACE", "somewhere") + volumes, STATEFUL_SET, CERTIFICATE, settings, *things]
    text = "\n---\n".join([CRD.replace("GROUP", "example.com"), *objects])
    proposed = tmp_path / "bundle.yaml"

    proposed.write_text(initial_config(converted(text), CHART))
    config = load_config(proposed)
    conversion = converted(text, drop=config.drop, map=config.map, patches=config.patches, namespace=config.namespace)

    assert errors(conversion) == []
    assert len(conversion.csv["spec"]["install"]["spec"]["deployments"]) == 2
    assert [item["metadata"]["name"] for item in examples(conversion)] == ["one", "two"]


def test_a_second_initialization_resource_has_no_place() -> None:
    things = "---".join(THING.replace("NAME", name) for name in ("one", "two"))
    rule = MapRule(kind="Thing", to="initialization-resource")

    conversion = converted(f"{CRD.replace('GROUP', 'example.com')}---{things}", map=[rule])

    assert fate(conversion, "Thing", "one").disposition is Disposition.TRANSFORMED
    assert fate(conversion, "Thing", "two").disposition is Disposition.NO_PLACE


def test_two_groups_may_have_a_kind_of_the_same_name() -> None:
    crds = "---".join(CRD.replace("GROUP", group) for group in ("a.example.com", "b.example.com"))
    conversion = converted(f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}\n---{crds}")
    bundle = bundle_from_files("", {path: text.encode() for path, text in conversion.files.items()})

    assert [finding.rule for finding in validate(bundle, PROFILES["olm-v0"]) if finding.level is Level.ERROR] == []


def test_a_service_that_is_called_like_olms_needs_another_name() -> None:
    mount = "volumeMounts: [{name: certs, mountPath: /tmp/k8s-webhook-server/serving-certs}]"
    pod = DEPLOYMENT.replace("NAMESPACE", "somewhere").replace("env: null", mount)
    pod += "      volumes: [{name: certs, emptyDir: {}}]"
    metrics = "{apiVersion: v1, kind: Service, metadata: {name: op-service}, spec: {ports: [{port: 8080}]}}"

    beside = converted(f"{pod}\n---{WEBHOOK}\n---\n{metrics}")
    itself = converted(
        f"{pod}\n---{WEBHOOK.replace('name: hook', 'name: op-service').replace('443,', '443}, {port: 80,')}"
    )

    assert fate(beside, "Service", "op-service").disposition is Disposition.NO_PLACE
    assert "merge: {metadata: {name: op-metrics}}" in fate(beside, "Service", "op-service").remedies[1]
    assert fate(itself, "Service", "op-service").disposition is Disposition.LEFT_OUT
    assert "service-ports" in [notice.code for notice in itself.notices]
    assert errors(itself) == []


def test_rights_on_objects_that_are_called_after_the_namespace_are_an_error() -> None:
    rights = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: op, namespace: somewhere}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [op.somewhere.tls], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: op, namespace: somewhere}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: op}
subjects: [{kind: ServiceAccount, name: op, namespace: somewhere}]
"""
    text = f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}\n---{rights}"

    assert [message.rpartition(": ")[2] for message in errors(converted(text))] == ["rules[0].resourceNames[0]"]
    assert errors(converted(text, namespace="somewhere")) == []


def test_annotations_that_ask_for_another_ca_leave_the_pods_too() -> None:
    marks = "annotations: {cert-manager.io/inject-ca-from: somewhere/tls, helm.sh/resource-policy: keep, mine: x}"
    text = DEPLOYMENT.replace("NAMESPACE", "somewhere").replace("annotations: null", marks)

    conversion = converted(text)

    assert errors(conversion) == []
    assert deployment(conversion)["template"]["metadata"]["annotations"] == {"mine": "x"}


def test_init_keeps_the_webhooks_of_a_stateful_set(tmp_path: Path) -> None:
    text = f"{STATEFUL_SET}\n---{WEBHOOK.replace('app: op', 'app: store')}"
    proposed = tmp_path / "bundle.yaml"

    proposed.write_text(initial_config(converted(text), CHART))
    config = load_config(proposed)
    conversion = converted(text, map=config.map, patches=config.patches)

    assert config.drop == []
    assert errors(conversion) == []
    assert conversion.csv["spec"]["webhookdefinitions"][0]["deploymentName"] == "store"


def test_an_aggregated_role_takes_no_rules_later_which_is_said() -> None:
    rights = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: op}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: op}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: op}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: op}
subjects: [{kind: ServiceAccount, name: op, namespace: somewhere}]
"""
    conversion = converted(f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}\n---{rights}")

    assert [notice.code for notice in conversion.notices if notice.level is Level.WARNING] == ["rbac-aggregation"]


def test_what_is_rendered_twice_counts_once() -> None:
    crd = CRD.replace("GROUP", "example.com")
    text = f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}\n---{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}"
    other = crd.replace("spec: {type: object}", "spec: {type: object, description: other}")

    conversion = converted(f"{text}\n---\n# Source: op/crds/a.yaml{crd}---\n# Source: op/charts/x/crds/b.yaml{other}")
    templates = converted(f"{text}\n---\n# Source: op/templates/a.yaml{crd}---\n# Source: op/templates/b.yaml{other}")

    assert errors(conversion) == []
    assert "other" not in conversion.files["manifests/example.com_things.yaml"]
    assert [item.ref.kind for item in templates.fates if item.disposition is Disposition.NO_PLACE] == [
        "CustomResourceDefinition"
    ]


def test_a_private_key_has_no_place_in_a_bundle() -> None:
    text = DEPLOYMENT.replace("NAMESPACE", "somewhere")
    pem = "-----BEGIN PRIVATE KEY-----"
    packed = (
        f"{{apiVersion: v1, kind: Secret, metadata: {{name: packed}}, data: {{k: {b64encode(pem.encode()).decode()}}}}}"
    )
    plain = f"{{apiVersion: v1, kind: Secret, metadata: {{name: plain}}, stringData: {{k: '{pem}'}}}}"
    harmless = "{apiVersion: v1, kind: Secret, metadata: {name: harmless}, data: {k: '+', l: c2VjcmV0}}"

    conversion = converted("\n---\n".join([text, packed, plain, harmless]))

    assert [fate(conversion, "Secret", name).disposition for name in ("packed", "plain", "harmless")] == [
        Disposition.NO_PLACE,
        Disposition.NO_PLACE,
        Disposition.FILE,
    ]


def test_a_secret_with_more_than_a_certificate_is_not_the_serving_certificate() -> None:
    volumes = "      volumes: [{name: certs, secret: {secretName: client-certs}}]"
    secret = "{apiVersion: v1, kind: Secret, metadata: {name: client-certs}, data: {ca.crt: YQ==, ca.key: YQ==}}"

    conversion = converted(f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}{volumes}\n---{WEBHOOK}---\n{secret}")

    assert errors(conversion) == []
    assert deployment(conversion)["template"]["spec"]["volumes"][0]["secret"] == {"secretName": "client-certs"}


def test_a_certificate_is_guessed_only_where_none_is_known() -> None:
    volumes = "      volumes: [{name: a, secret: {secretName: tls}}, {name: b, secret: {secretName: user-certs}}]"
    text = f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}{volumes}\n---{WEBHOOK}"

    known = deployment(converted(f"{text}---{CERTIFICATE}"))["template"]["spec"]["volumes"]
    elsewhere = CERTIFICATE.replace("secretName: tls", "secretName: tls, dnsNames: [metrics.somewhere.svc]")
    other = deployment(converted(f"{text}---{elsewhere}"))["template"]["spec"]["volumes"]
    unknown = deployment(converted(text))["template"]["spec"]["volumes"]

    assert [volume["secret"]["secretName"] for volume in known] == ["op-service-cert", "user-certs"]
    assert [volume["secret"]["secretName"] for volume in other] == ["op-service-cert", "op-service-cert"]
    assert [volume["secret"]["secretName"] for volume in unknown] == ["op-service-cert", "op-service-cert"]


def test_a_chart_that_chooses_its_namespace_is_rendered_for_that(tmp_path: Path) -> None:
    text = f"{DEPLOYMENT.replace('NAMESPACE', 'op-system')}\n---{STATEFUL_SET}\n---{CERTIFICATE}"
    proposed = tmp_path / "bundle.yaml"
    conversion = converted(text)

    proposed.write_text(initial_config(conversion, CHART))

    assert fate(conversion, "Deployment", "op").remedies[0] == "namespace: op-system"
    assert load_config(proposed).namespace == "op-system"
    assert load_config(proposed).drop == []


def test_a_conversion_that_nobody_serves_can_be_patched_away() -> None:
    client = "{service: {name: nowhere, namespace: system}}"
    conversion = f"{{strategy: Webhook, webhook: {{clientConfig: {client}, conversionReviewVersions: [v1]}}}}"
    crd = CRD.replace("GROUP", "example.com").replace("  scope:", f"  conversion: {conversion}\n  scope:")
    text = f"{DEPLOYMENT.replace('NAMESPACE', 'somewhere')}\n---{crd}"

    hint = next(n.hint for n in converted(text).notices if n.code == "conversion-webhook")
    patch = yaml.load(hint.partition("\n")[2])["patches"][0]

    assert errors(converted(text, patches=[ObjectPatch(target=Target(**patch["target"]), merge=patch["merge"])])) == []
