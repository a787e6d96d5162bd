"""A commented bundle.yaml to start with: what the chart already says, what is still missing, what has no place."""

from __future__ import annotations

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.convert import Conversion
from kopf_sdk.bundle.crds import read_crd
from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice
from kopf_sdk.bundle.metadata import CATEGORIES, Metadata
from kopf_sdk.bundle.objects import Ref, by_kind
from kopf_sdk.bundle.schema import violations

__all__ = ["initial_config"]


def initial_config(conversion: Conversion, chart: Chart) -> str:
    """Return the text of a bundle.yaml. What is commented out is what the builder derives without it."""
    metadata = conversion.metadata
    parts = [
        f"# How {metadata.package} becomes an OLM bundle. Everything here is optional; lines that are commented "
        f"out show",
        "# what is derived from the chart. The fields are described in the documentation of `kopf-sdk bundle`.",
        "",
        *_package(metadata),
        "",
        *_people(metadata, chart),
        "",
        *_install(conversion),
        *_namespace(conversion),
        "",
        *_resources(conversion),
        *_stuck(conversion),
        *_errors(conversion),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _package(metadata: Metadata) -> list[str]:
    return [
        "# -- package",
        _derived("package", metadata.package),
        _derived("version", str(metadata.version)),
        _derived("channels", list(metadata.channels)),
        "# replaces: the CSV that this one replaces; the catalog works it out from versions otherwise",
        '# createdAt: "2026-01-01T00:00:00Z"  # or set SOURCE_DATE_EPOCH',
    ]


def _people(metadata: Metadata, chart: Chart) -> list[str]:
    icon = f"  # the chart's: {chart.text('icon')}" if chart.text("icon") else ""
    lines = ["# -- what people read", _derived("displayName", metadata.display_name)]
    lines.append(
        "# descriptionFile: description.md  "
        "# " + ("README.md of the chart" if chart.readme else "Chart.yaml's description is short")
    )
    lines.append(_derived("icon", "logo.svg") + icon if metadata.icon is None else "# icon: found in the chart")
    lines.append(_or_missing("keywords", list(metadata.keywords)))
    lines.append(_or_missing("maintainers", [dict(item) for item in metadata.maintainers], "[{name: …, email: …}]"))
    lines.append(_or_missing("provider", dict(metadata.provider), "{name: …, url: …}"))
    lines.append(_or_missing("links", [dict(item) for item in metadata.links], "[{name: Documentation, url: …}]"))
    lines.append(_or_missing("categories", list(metadata.categories), f"[…]  # of: {', '.join(CATEGORIES)}"))
    lines.append(_derived("capabilities", metadata.capabilities))
    lines.append(_derived("maturity", metadata.maturity))
    lines.append(_or_missing("minKubeVersion", metadata.min_kube_version, "1.25.0"))
    lines.append(_or_missing("repository", metadata.repository, "https://github.com/…"))
    return lines


def _install(conversion: Conversion) -> list[str]:
    spec = conversion.csv.get("spec") or {}
    modes = [mode["type"] for mode in spec.get("installModes") or () if mode["supported"]]
    lines = ["# -- how it runs", _derived("installModes", modes)]
    if conversion.watch.places:
        lines.append(f"# watchNamespace: found by itself: {'; '.join(conversion.watch.places)}")
    else:
        lines.append(
            "# watchNamespace: {env: WATCH_NAMESPACE}  # or {argument: --namespaces}, or {value: watchNamespaces}"
        )
    images = [image["image"] for image in spec.get("relatedImages") or ()]
    lines.append("# images: {related: {name: reference}, pin: false}  # found: " + (", ".join(images) or "none"))
    return lines


def _namespace(conversion: Conversion) -> list[str]:
    """Propose a namespace where the chart writes it into what is not expanded in the cluster."""
    names = [str(notice.ref) for notice in conversion.notices if _fixes_namespace(notice)]
    if not names:
        return []
    return [f"# named in {', '.join(names)}: it works there only", f"namespace: {conversion.metadata.package}"]


def _fixes_namespace(notice: Notice) -> bool:
    return notice.code == "install-namespace" and notice.level is Level.ERROR


def _resources(conversion: Conversion) -> list[str]:
    owned = ((conversion.csv.get("spec") or {}).get("customresourcedefinitions") or {}).get("owned") or ()
    lines = ["# -- resources", "# samples: [samples/]  # examples for the console, checked against the schemas"]
    lines.extend(
        f"#   {entry['kind']} ({entry['name']}, {entry['version']}): {len(entry.get('specDescriptors') or ())} fields"
        for entry in owned
    )
    return lines


def _stuck(conversion: Conversion) -> list[str]:
    """Propose something for all that has no place, since the file must be complete; other ways stand beside it."""
    fates = [fate for fate in conversion.fates if fate.disposition is Disposition.NO_PLACE]
    if not fates:
        return []
    elsewhere = next((fate for fate in fates if fate.remedies[:1] == (f"namespace: {fate.ref.namespace}",)), None)
    if elsewhere is not None:
        note = "the chart installs into it whatever Helm says; try again with it to see what else has no place"
        return ["", f"# {elsewhere.ref}: {note}", elsewhere.remedies[0]]
    unfit = _unfit(conversion)
    workloads = [f"{fate.ref.kind} {fate.ref.name}," for fate in fates if fate.ref.kind == "StatefulSet"]
    sections: dict[str, list[str]] = {}
    for fate in fates:
        if any(workload in fate.reason for workload in workloads):
            continue  # it has a place once the workload is a Deployment
        proposal = _proposal(fate, fits=fate.ref not in unfit)
        others = [way.split("\n", 1)[0].rstrip(":") for way in fate.remedies if way != proposal]
        comments = [
            f"# {fate.ref}: {fate.reason}",
            f"# other ways: {', '.join(dict.fromkeys(others))}; see `kopf-sdk bundle explain`",
        ]
        section = ""
        for line in proposal.splitlines():
            if line[0].isalpha():
                section = line
                sections.setdefault(section, []).extend(comments)
            else:
                sections[section].append(line)
    lines = ["", "# -- objects of the chart without a place in a bundle: decide for each"]
    return lines + [line for section, content in sections.items() for line in (section, *content)]


def _proposal(fate: Fate, *, fits: bool) -> str:
    """Return the way out that loses least: a StatefulSet runs as a Deployment too, a custom resource is an example."""
    wanted = "to: deployment}" if fate.ref.kind == "StatefulSet" else "to: example}"
    return next((way for way in fate.remedies if wanted in way and fits), fate.remedies[0])


def _unfit(conversion: Conversion) -> set[Ref]:
    """Return the custom resources that break the schema, as their chart renders them without the user's values."""
    schemas = {
        (f"{crd.group}/{version.name}", crd.kind): version.schema
        for crd in (read_crd(obj.data) for obj in by_kind(conversion.rendered, "CustomResourceDefinition"))
        for version in crd.versions
    }
    resources = [obj for obj in conversion.rendered if (obj.api_version, obj.kind) in schemas]
    return {obj.ref for obj in resources if any(violations(obj.data, schemas[obj.api_version, obj.kind]))}


def _errors(conversion: Conversion) -> list[str]:
    errors = [n for n in conversion.notices if n.level is Level.ERROR and not _fixes_namespace(n)]
    lines = ["", "# -- still to be solved"] if errors else []
    for notice in errors:
        lines.extend(_comment(f"# {notice.ref or notice.code}: ", notice.message))
        lines.extend(_comment("#   ", notice.hint))
    return lines


def _comment(start: str, text: str) -> list[str]:
    return [f"{start if number == 0 else '#   '}{line}" for number, line in enumerate(text.splitlines())]


def _derived(key: str, value: object) -> str:
    return "# " + yaml.dump({key: value}).rstrip("\n").replace("\n", "\n# ")


def _or_missing(key: str, value: object, example: str = "[…]") -> str:
    return _derived(key, value) if value else f"# {key}: {example}  # missing"
