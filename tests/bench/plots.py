"""Plots as SVG, written by hand: same figures, same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from bench.figures import number

__all__ = ["bars", "lines"]

COLOURS = {"ours": "#0f766e", "shape": "#5eb8a6", "tuned": "#5b6b8c", "shipped": "#b4bccd"}
INK, FAINT = "#1f2937", "#d7dce5"
WIDTH = 760
LEFT, RIGHT = 190, 70
BAR, GAP, GROUP_GAP = 18, 4, 16


def bars(title: str, groups: Sequence[tuple[str, Mapping[str, float | None]]], titles: Mapping[str, str]) -> str:
    """Draw horizontal bars, labelled with their figures.

    Parameters
    ----------
    groups
        Name of the group and its value per side, in the order to draw. What was not measured is left out.
    titles
        What the sides are called.
    """
    found = [(name, [(side, value) for side, value in values.items() if value is not None]) for name, values in groups]
    most = max((value for _, values in found for _, value in values), default=0.0) or 1.0
    body, y = [], 48.0
    for name, values in found:
        height = len(values) * (BAR + GAP) - GAP
        body.append(_text(LEFT - 12, y + height / 2 + 4, name, anchor="end"))
        for side, value in values:
            length = max(value / most * (WIDTH - LEFT - RIGHT), 1.0)
            body.append(f'<rect x="{LEFT}" y="{y:.0f}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[side]}"/>')
            body.append(_text(LEFT + length + 6, y + BAR - 4, number(value)))
            y += BAR + GAP
        y += GROUP_GAP
    used = [side for side in COLOURS if any(side == seen for _, values in found for seen, _ in values)]
    return _document(title, [*body, *_legend(used, titles, y + 6)], y + 22 * len(used) + 8)


def lines(
    title: str, x_name: str, series: Mapping[str, Sequence[tuple[float, float]]], titles: Mapping[str, str]
) -> str:
    """Draw values over sizes, both axes from zero; every point has its figure.

    Parameters
    ----------
    series
        Points per side.
    """
    points = [point for values in series.values() for point in values]
    right, top = (max((point[axis] for point in points), default=1.0) or 1.0 for axis in (0, 1))
    x0, y0, width, height = 60.0, 330.0, WIDTH - 60.0 - RIGHT, 270.0

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return x0 + point[0] / right * width, y0 - point[1] / top * height

    body = [f'<path d="M{x0} {y0 - height:.0f}V{y0:.0f}H{x0 + width:.0f}" fill="none" stroke="{FAINT}"/>']
    for x in sorted({point[0] for point in points}):
        at, _ = place((x, 0))
        body.append(f'<path d="M{at:.1f} {y0:.0f}v5" stroke="{INK}"/>')
        body.append(_text(at, y0 + 20, f"{x:,.0f}", anchor="middle"))
    body.append(_text(x0 + width, y0 + 38, x_name, anchor="end"))
    for side, values in series.items():
        placed = [place(point) for point in values]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        body.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[side]}" stroke-width="2"/>')
        for (x, y), (_, value) in zip(placed, values, strict=True):
            body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS[side]}"/>')
            body.append(_text(x + 6, y - 6, number(value), colour=COLOURS[side]))
    used = [side for side in COLOURS if side in series]
    return _document(title, [*body, *_legend(used, titles, y0 + 52)], y0 + 58 + 22 * len(used))


def _legend(sides: Sequence[str], titles: Mapping[str, str], y: float) -> Iterator[str]:
    for row, side in enumerate(sides):
        at = y + 22 * row
        yield f'<rect x="{LEFT}" y="{at:.0f}" width="12" height="12" fill="{COLOURS[side]}"/>'
        yield _text(LEFT + 20, at + 11, titles.get(side, side))


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _document(title: str, body: Sequence[str], height: float) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="13">'
    )
    heading = f'<text x="20" y="28" font-size="16" font-weight="600" fill="{INK}">{escape(title)}</text>'
    background = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", background, heading, *body, "</svg>"]) + "\n"
