"""The drawings of the feedback pages: inline SVG in the page's own colours, each with what it says in words."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from autograder.wire.points import steps
from autograder.wire.text import number

WIDTH, MARGIN = 360, 24


def speed_drawing(details: Mapping[str, Any], points: float) -> str:
    """A measured speedup with its interval, over the thresholds that make points of it; empty where there is neither.

    Args:
        details: of a speed check: `interval` {median, low, high} and `thresholds` [[speedup, points], ..].
        points: what the check gave.
    """
    found, thresholds = details.get("interval"), details.get("thresholds")
    if not found or not thresholds:
        return ""
    low, median, high = (float(found[name]) for name in ("low", "median", "high"))
    left, right = min(low, thresholds[0][0]) / 1.1, max(high, thresholds[-1][0]) * 1.1

    def x(speedup: float) -> float:
        share = math.log2(speedup / left) / math.log2(right / left)
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    ticks = "".join(f"<path d='M{x(at)} 52v6'/>" for at, _ in steps(thresholds))
    marks = "".join(
        f"<path d='M{x(at)} 48v14'/><text stroke=none x={x(at)} y=78>{number(at)}×</text>"
        f"<text stroke=none x={x(at)} y=94 opacity=.75>{_points(worth)}</text>"
        for at, worth in thresholds
    )
    said = f"{median:.2f} times as fast, 95 % interval {low:.2f} to {high:.2f}: {_points(points)}. "
    said += "The scale gives " + ", ".join(f"{_points(worth)} at {number(at)} times" for at, worth in thresholds) + "."
    middle = min(max(x(median), 3 * MARGIN), WIDTH - 3 * MARGIN)
    wide = max(2.0, round(x(high) - x(low), 1))
    return _svg(
        100, said,
        "<g text-anchor=middle font-size=12 fill=currentColor stroke=currentColor>"
        f"<path d='M{MARGIN} 55H{WIDTH - MARGIN}'/>{ticks}{marks}"
        f"<text stroke=none x={middle} y=16>{median:.2f}×  ({low:.2f} to {high:.2f})</text></g>"
        f"<rect x={x(low)} y=28 width={wide} height=12 rx=3 fill='var(--bar)' opacity=.45 />"
        f"<circle cx={x(median)} cy=34 r=6 fill='var(--bar)' />",
    )  # fmt: skip


def histogram(shares: Sequence[float], bins: int = 10) -> str:
    """How many students have which share of the points, in `bins` bars from 0 to 100 %."""
    counts = [0] * bins
    for share in shares:
        counts[min(bins - 1, int(share * bins))] += 1
    most, wide = max(counts), (WIDTH - 2 * MARGIN) / bins
    bars = "".join(
        f"<rect x={MARGIN + n * wide + 1:.1f} y={110 - 90 * count / most:.1f} width={wide - 2:.1f} "
        f"height={90 * count / most:.1f} fill='var(--bar)' />"
        f"<text x={MARGIN + (n + 0.5) * wide:.1f} y={104 - 90 * count / most:.1f}>{count}</text>"
        for n, count in enumerate(counts)
        if count
    )
    edges = "".join(f"<text x={MARGIN + n * wide:.1f} y=126>{100 * n // bins}</text>" for n in range(0, bins + 1, 2))
    said = "Students by share of the points: " + ", ".join(
        f"{count} with {100 * n // bins} to {100 * (n + 1) // bins} %" for n, count in enumerate(counts) if count
    )
    return _svg(
        146, f"{said}.",
        f"<g text-anchor=middle font-size=12 fill=currentColor>{bars}{edges}"
        f"<text x={WIDTH / 2:g} y=142 opacity=.75>% of the points</text></g>"
        f"<path d='M{MARGIN} 110.5H{WIDTH - MARGIN}' stroke=currentColor />",
    )  # fmt: skip


def _svg(height: int, said: str, body: str) -> str:
    return f'<svg role=img aria-label="{escape(said)}" viewBox="0 0 {WIDTH} {height}">{body}</svg>'


def _points(value: float) -> str:
    return f"{number(value)} point{'' if value == 1 else 's'}"
