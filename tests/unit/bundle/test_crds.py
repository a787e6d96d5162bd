"""CRDs pass through as text, but for the blocks that must change."""

from __future__ import annotations

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.crds import crd_text, without_descriptions
from kopf_sdk.bundle.objects import parse_stream

TEXT = """---
# Source: chart/crds/a.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    helm.sh/resource-policy: keep
    cert-manager.io/inject-ca-from: n/c
    mine: "1"
  labels:
    app.kubernetes.io/managed-by: Helm
  creationTimestamp: null
  name: as.x.io
spec:
  conversion:
    strategy: Webhook
    webhook:
      clientConfig:
        caBundle: Cg==
        service: {name: hook, namespace: n, path: /convert}
      conversionReviewVersions: [v1]
  group: x.io   # a comment that stays
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: |
          status: this text looks like a key
status:
  storedVersions: []
"""


def test_only_metadata_status_and_conversion_change() -> None:
    text = crd_text(parse_stream(TEXT)[0], "op-service")

    data = yaml.load(text)
    assert data["metadata"] == {"name": "as.x.io", "annotations": {"mine": "1"}}
    assert "status" not in data
    client = data["spec"]["conversion"]["webhook"]["clientConfig"]
    assert client == {"service": {"name": "op-service", "namespace": "n", "path": "/convert"}}
    assert "group: x.io   # a comment that stays" in text
    assert data["spec"]["versions"] == yaml.load(TEXT)["spec"]["versions"]
    assert "Source" not in text


def test_without_a_webhook_the_spec_is_untouched() -> None:
    assert yaml.load(crd_text(parse_stream(TEXT)[0]))["spec"] == yaml.load(TEXT)["spec"]


def test_an_object_without_text_is_written_anew() -> None:
    listed = parse_stream(
        "apiVersion: v1\nkind: "
        "List\nitems:\n"
        + "\n".join("  " + line for line in ("- " + TEXT.split("\n", 2)[2].replace("\n", "\n  ")).split("\n"))
    )

    assert yaml.load(crd_text(listed[0]))["spec"]["group"] == "x.io"


def test_descriptions_are_dropped_below_a_depth() -> None:
    schema = {
        "description": "top",
        "properties": {
            "spec": {
                "description": "kept",
                "properties": {
                    "a": {
                        "description": "kept too",
                        "properties": {"description": {"description": "gone", "type": "string"}},
                    }
                },
            }
        },
    }

    trimmed = without_descriptions(schema, keep_depth=2)

    assert trimmed["properties"]["spec"]["properties"]["a"]["description"] == "kept too"
    assert trimmed["properties"]["spec"]["properties"]["a"]["properties"] == {"description": {"type": "string"}}


def test_blanks_at_the_end_of_lines_stay() -> None:
    text = TEXT.replace("looks like a key", "ends in blanks  \n          which break a line in Markdown")
    crd = parse_stream(text)[0]

    assert yaml.load(crd_text(crd, "op-service"))["spec"]["versions"] == crd.spec["versions"]
