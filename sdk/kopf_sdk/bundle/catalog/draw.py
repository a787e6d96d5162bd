"""The upgrade graph for people: as text, as a Mermaid diagram, as SVG."""

from __future__ import annotations

import html
from collections.abc import Mapping

from kopf_sdk.bundle.catalog.graph import Edge, edges, heads
from kopf_sdk.bundle.catalog.model import Catalog, bundle_version
from kopf_sdk.bundle.semver import Version

__all__ = ["graph_mermaid", "graph_svg", "graph_text"]

_ARROW = {"replaces": "-->", "skips": "-.->", "skipRange": "-.->"}
_COLOR = {"replaces": "#1f6feb", "skips": "#bf8700", "skipRange": "#8250df"}
_STEP_X, _STEP_Y, _WIDTH, _HEIGHT, _MARGIN = 220, 90, 180, 36, 30


def _channels(catalog: Catalog) -> list[tuple[str, str, list[str], list[Edge], list[str]]]:
    """Return (package, channel, names by version, edges, heads) for every channel."""
    result = []
    for channel in sorted(catalog.channels, key=lambda blob: (str(blob.get("package")), str(blob.get("name")))):
        entries = channel.get("entries") or []
        package = str(channel.get("package"))
        versions = _versions(catalog, package)
        names = sorted((str(e["name"]) for e in entries), key=lambda name: (versions.get(name, Version(0, 0, 0)), name))
        result.append((package, str(channel.get("name")), names, edges(entries, versions), heads(entries)))
    return result


def _versions(catalog: Catalog, package: str) -> Mapping[str, Version]:
    versions = {}
    for bundle in catalog.bundles:
        if bundle.get("package") == package:
            try:
                versions[str(bundle["name"])] = bundle_version(bundle)
            except ValueError:
                continue
    return versions


def _deprecated(catalog: Catalog) -> set[str]:
    entries = (entry for blob in catalog.deprecations for entry in blob.get("entries") or ())
    return {str((entry.get("reference") or {}).get("name")) for entry in entries}


def graph_text(catalog: Catalog) -> str:
    """Return one line per version, newest first, with the upgrades that lead to it."""
    deprecated = _deprecated(catalog)
    lines: list[str] = []
    for package, channel, names, found, top in _channels(catalog):
        default = (catalog.package(package) or {}).get("defaultChannel") == channel
        lines.append(f"{package} / {channel}{' (default)' if default else ''}")
        for name in reversed(names):
            ways = [f"{edge.kind} {edge.old}" for edge in found if edge.new == name]
            marks = [mark for mark, on in (("head", name in top), ("deprecated", name in deprecated)) if on]
            lines.append(
                f"  {name}{' [' + ', '.join(marks) + ']' if marks else ''}{': ' + ', '.join(ways) if ways else ''}"
            )
    return "\n".join(lines) + "\n"


def graph_mermaid(catalog: Catalog) -> str:
    """Return a Mermaid flowchart, a subgraph per channel."""
    lines = ["graph LR"]
    for number, (package, channel, names, found, top) in enumerate(_channels(catalog)):
        lines.append(f'  subgraph c{number}["{package} / {channel}"]')
        known = [*names, *(edge.old for edge in found if edge.old not in names)]
        ids = {name: f"c{number}n{index}" for index, name in enumerate(dict.fromkeys(known))}
        for name, key in ids.items():
            lines.append(f'    {key}{"([" if name in top else "["}"{name}"{"])" if name in top else "]"}')
        lines.extend(f"    {ids[edge.old]} {_ARROW[edge.kind]}|{edge.kind}| {ids[edge.new]}" for edge in found)
        lines.append("  end")
    return "\n".join(lines) + "\n"


def graph_svg(catalog: Catalog) -> str:
    """Return a drawing: a row per channel, versions from left to right, an arc per upgrade."""
    shapes: list[str] = []
    top_y, width = _MARGIN, 0
    deprecated = _deprecated(catalog)
    for package, channel, names, found, top in _channels(catalog):
        outside = [edge.old for edge in found if edge.old not in names]
        order = list(dict.fromkeys([*outside, *names]))
        far = [edge for edge in found if abs(order.index(edge.new) - order.index(edge.old)) > 1]
        y = top_y + 24 + 22 * len(far)
        shapes.append(
            f'<text x="{_MARGIN}" y="{top_y + 6}" font-weight="bold">{html.escape(package)} / '
            f"{html.escape(channel)}</text>"
        )
        x_of = {name: _MARGIN + index * _STEP_X for index, name in enumerate(order)}
        faint = {*outside, *deprecated}
        shapes.extend(_box(name, x_of[name], y, head=name in top, faint=name in faint) for name in order)
        for level, edge in enumerate(far, start=1):
            shapes.append(_arc(x_of[edge.old], x_of[edge.new], y, 22 * level, _COLOR[edge.kind]))
        near = [edge for edge in found if edge not in far]
        middle = y + _HEIGHT / 2
        shapes.extend(_line(x_of[e.old] + _WIDTH, x_of[e.new], middle, _COLOR[e.kind]) for e in near)
        width = max(width, len(order) * _STEP_X)
        top_y = y + _STEP_Y
    legend = " ".join(f'<tspan fill="{color}">{kind}</tspan>' for kind, color in _COLOR.items())
    shapes.append(f'<text x="{_MARGIN}" y="{top_y}">{legend}</text>')
    markers = "".join(
        f'<marker id="{color[1:]}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{color}"/></marker>'
        for color in _COLOR.values()
    )
    size = f'width="{width + 2 * _MARGIN}" height="{top_y + _MARGIN}"'
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
        f"<defs>{markers}</defs>\n{body}\n</svg>\n"
    )


def _box(name: str, x: float, y: float, *, head: bool, faint: bool) -> str:
    stroke = 'stroke-dasharray="4 3"' if faint else ""
    fill = "#ddf4ff" if head else "#ffffff"
    label = name if len(name) <= 26 else f"…{name[-25:]}"
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="#57606a" {stroke}/>'
        f'<text x="{x + _WIDTH / 2}" y="{y + 22}" '
        f'text-anchor="middle"><title>{html.escape(name)}</title>{html.escape(label)}</text>'
    )


def _line(x1: float, x2: float, y: float, color: str) -> str:
    return f'<path d="M{x1} {y}L{x2} {y}" stroke="{color}" fill="none" marker-end="url(#{color[1:]})"/>'


def _arc(old: float, new: float, y: float, height: float, color: str) -> str:
    x1, x2 = old + _WIDTH / 2, new + _WIDTH / 2
    dash = ' stroke-dasharray="5 3"' if color != _COLOR["replaces"] else ""
    path = f"M{x1} {y}C{x1} {y - height} {x2} {y - height} {x2} {y}"
    return f'<path d="{path}" stroke="{color}" fill="none"{dash} marker-end="url(#{color[1:]})"/>'
