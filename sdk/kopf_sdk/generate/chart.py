"""CustomResourceDefinitions as templates of a Helm chart, so that an upgrade of the release upgrades them too.

The chart brings the named template `<chart>.labels` (what `helm create` writes) and the values `crds.install`,
`crds.keep` and `crds.annotations`; with conversion webhooks also `<chart>.crdConversion`.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml

from kopf_sdk.errors import SdkError
from kopf_sdk.generate.output import MARK
from kopf_sdk.generate.yaml import to_yaml

__all__ = ["chart_name", "crd_file_name", "crd_template", "escape"]


def chart_name(chart: Path) -> str:
    """Return the name in Chart.yaml. Raises SdkError where there is none."""
    source = chart / "Chart.yaml"
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SdkError(f"{source} does not exist", hint="correct tool.kopf-sdk.chart in pyproject.toml") from error
    except yaml.YAMLError as error:
        raise SdkError(f"{source} is no YAML: {error}", hint="correct the line named") from error
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise SdkError(f"{source}: name: is missing", hint="every chart has a name")
    return str(document["name"])


def crd_file_name(crd: dict[str, Any]) -> str:
    """Return the name that kubebuilder gives such a file, like `cache.example.com_memcacheds.yaml`."""
    return f"{crd['spec']['group']}_{crd['spec']['names']['plural']}.yaml"


def crd_template(crd: dict[str, Any], chart: str, sources: str) -> str:
    """Return the template of one CRD.

    Parameters
    ----------
    crd
        The manifest.
    chart
        Name of the chart, which its named templates start with.
    sources
        Where the types are defined, for the header.
    """
    metadata, spec = crd["metadata"], dict(crd["spec"])
    own = {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
    converts = spec.pop("conversion", None) is not None
    body = escape(to_yaml(spec))
    if converts:
        scope, versions = body.split("versions:\n", 1)
        body = f'{scope}{{{{- include "{chart}.crdConversion" . | nindent 2 }}}}\nversions:\n{versions}'
    return "\n".join(
        [
            f"{{{{- /* {MARK} from {sources}; do not edit. */ -}}}}",
            "{{- if .Values.crds.install }}",
            f"apiVersion: {crd['apiVersion']}",
            f"kind: {crd['kind']}",
            "metadata:",
            f"  name: {metadata['name']}",
            "  labels:",
            *_indented(own.get("labels"), 4),
            f'    {{{{- include "{chart}.labels" . | nindent 4 }}}}',
            *_annotations(own.get("annotations")),
            "spec:",
            textwrap.indent(body, "  ").rstrip("\n"),
            "{{- end }}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Return text that Helm renders to itself."""
    return text.replace("{{", '{{ "{{" }}')


def _annotations(own: dict[str, str] | None) -> list[str]:
    lines = [
        "  annotations:",
        *_indented(own, 4),
        "    {{- if .Values.crds.keep }}",
        "    helm.sh/resource-policy: keep",
        "    {{- end }}",
        "    {{- with .Values.crds.annotations }}",
        "    {{- toYaml . | nindent 4 }}",
        "    {{- end }}",
    ]
    return lines if own else ["  {{- if or .Values.crds.keep .Values.crds.annotations }}", *lines, "  {{- end }}"]


def _indented(mapping: dict[str, str] | None, width: int) -> list[str]:
    return textwrap.indent(escape(to_yaml(mapping)), " " * width).splitlines() if mapping else []
