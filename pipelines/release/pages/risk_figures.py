"""Figures of risk quality: the hit curve of a list of cells, and the calibration of expected counts.

Each takes the rows of one category from ``risk_curves`` and ``risk_calibration`` and returns SVG parts: one figure for
a page, or several below each other on a sheet.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import polars as pl

from pipelines.release.pages import figures
from pipelines.release.pages.figures import HOT, INK, LINE, MUTED, Scale

WIDTH, CURVE_HEIGHT, RATIO_HEIGHT = 360, 232, 168
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 32
TITLE_HEIGHT = 24

STYLES = {
    "stack": 'stroke="#123f6b" stroke-width="1.8"',
    "best_count": f'stroke="{HOT}" stroke-width="1.3" stroke-dasharray="4 2.5"',
    "prospective": f'stroke="{MUTED}" stroke-width="1.1" stroke-dasharray="1.5 2"',
}
"""Models that are drawn, in the order of the key, the last on top."""
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)


def hit_curve(curve: pl.DataFrame) -> list[str]:
    """Draw hit rate against share of area, with the line of chance. Both axes use square roots, for small shares."""
    x, y = _roots(LEFT, WIDTH - RIGHT), _roots(CURVE_HEIGHT - BOTTOM, TOP)
    parts = [_tick(share, x(share), y(share)) for share in SHARES]
    parts.append(_named(LEFT + (WIDTH - LEFT - RIGHT) / 2, CURVE_HEIGHT - 4, "share of the area"))
    parts.append(f'<path d="M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}" stroke="{MUTED}" stroke-width=".8"/>')
    parts.append(f'<text x="{x(0.42):.0f}" y="{y(0.34):.0f}" font-size="10" fill="{MUTED}">chance</text>')
    for model, style in reversed(STYLES.items()):
        rows = curve.filter(pl.col("model") == model, pl.col("hit_rate").is_not_null()).sort("area_share").to_dicts()
        if not rows:
            continue
        points = [(0.0, 0.0), *((row["area_share"], row["hit_rate"]) for row in rows), (1.0, 1.0)]
        line = "L".join(f"{x(share):.1f} {y(rate):.1f}" for share, rate in points)
        parts.append(f'<path d="M{line}" fill="none" {style}/>')
        parts += [
            f'<circle cx="{x(row["area_share"]):.1f}" cy="{y(row["hit_rate"]):.1f}" r="5" fill="transparent">'
            f"<title>{escape(_curve_tooltip(model, row))}</title></circle>"
            for row in rows
        ]
    return parts


def calibration(counted: pl.DataFrame) -> list[str]:
    """Draw observed over expected by band, with intervals, for stack and best count.

    The first position is all cells.
    """
    wide = (WIDTH - LEFT - RIGHT) / 11
    span = math.log2(RATIOS[-1])

    def y(ratio: float) -> float:
        level = min(max(math.log2(max(ratio, RATIOS[0] / 2)), -span), span)
        return TOP + (RATIO_HEIGHT - TOP - BOTTOM) * (1 - (level + span) / (2 * span))

    parts = [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(ratio):.1f}" y2="{y(ratio):.1f}" '
        f'stroke="{INK if ratio == 1 else LINE}" stroke-width=".7"/>'
        f'<text x="{LEFT - 5}" y="{y(ratio) + 3.5:.1f}" font-size="10" text-anchor="end" fill="{MUTED}">'
        f"{ratio:g}</text>"
        for ratio in RATIOS
    ]
    parts += [
        f'<text x="{LEFT + wide * (band + 0.5):.1f}" y="{RATIO_HEIGHT - BOTTOM + 13}" font-size="10" '
        f'text-anchor="middle" fill="{MUTED}">{band or "all"}</text>'
        for band in range(11)
    ]
    parts.append(
        _named(
            LEFT + (WIDTH - LEFT - RIGHT) / 2, RATIO_HEIGHT - 4, "tenths of the expected incidents, highest risk first"
        )
    )
    for place, (model, style) in zip((0.38, 0.62), STYLES.items(), strict=False):
        for row in counted.filter(model=model).drop_nulls("calibration_ratio").iter_rows(named=True):
            x = LEFT + wide * (row["band"] + place)
            low, high = row["calibration_ratio_low"], row["calibration_ratio_high"]
            whisker = "" if low is None else f'<path d="M{x:.1f} {y(low):.1f}V{y(high):.1f}" {style}/>'
            colour = HOT if model == "best_count" else "#123f6b"
            # Off the scale: hollow, on the edge.
            fill = colour if RATIOS[0] <= row["calibration_ratio"] <= RATIOS[-1] else "#fff"
            parts.append(
                f'{whisker}<circle cx="{x:.1f}" cy="{y(row["calibration_ratio"]):.1f}" r="2.6" fill="{fill}" '
                f'stroke="{colour}">'
                f"<title>{escape(_ratio_tooltip(model, row))}</title></circle>"
            )
    return parts


def sheet(panels: Sequence[tuple[str, list[str]]], height: int, description: str, models: int) -> str:
    """Draw figures below each other, each under its title, with the key of its models on top: a separate file."""
    step = TITLE_HEIGHT + height
    parts = _key(models)
    for number, (title, drawn) in enumerate(panels):
        top = 16 + step * number
        parts.append(f'<text x="4" y="{top + 17}" font-size="12" font-weight="600" fill="{INK}">{escape(title)}</text>')
        parts.append(f'<g transform="translate(0 {top + TITLE_HEIGHT})">{"".join(drawn)}</g>')
    written = f'<g font-family="sans-serif">{"".join(parts)}</g>'
    return figures.picture(WIDTH, 16 + step * len(panels), description, "", written)


def _key(models: int) -> list[str]:
    """Draw the key of the lines; ``models`` are the first of `STYLES`."""
    return [
        f'<path d="M{LEFT + 104 * n} 8h22" fill="none" {style}/>'
        f'<text x="{LEFT + 104 * n + 27}" y="11.5" font-size="10" fill="{INK}">{model.replace("_", " ")}</text>'
        for n, (model, style) in enumerate(list(STYLES.items())[:models])
    ]


def _roots(begin: float, end: float) -> Scale:
    return lambda share: begin + (end - begin) * math.sqrt(share)


def _tick(share: float, x: float, y: float) -> str:
    low = CURVE_HEIGHT - BOTTOM
    return (
        f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}M{x:.1f} {TOP}V{low}" stroke="{LINE}" stroke-width=".7" fill="none"/>'
        f'<text x="{x:.1f}" y="{low + 13}" font-size="10" text-anchor="{"end" if share == 1 else "middle"}" '
        f'fill="{MUTED}">{share:.0%}</text>'
        f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" font-size="10" text-anchor="end" fill="{MUTED}">{share:.0%}</text>'
    )


def _named(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="10" text-anchor="middle" fill="{MUTED}">{escape(text)}</text>'


def _curve_tooltip(model: str, row: dict[str, Any]) -> str:
    where = f"{row['area_share']:.2%} of the area"
    tooltip = f"{model.replace('_', ' ')}: {row['hits']} of {row['incidents']} incidents in {where}"
    likely = "" if row["pai_low"] is None else f" ({row['pai_low']:.1f} to {row['pai_high']:.1f})"
    return f"{tooltip}, PAI {row['pai']:.1f}{likely}"


def _ratio_tooltip(model: str, row: dict[str, Any]) -> str:
    where = f"tenth {row['band']}" if row["band"] else "all cells"
    tooltip = f"{model.replace('_', ' ')}, {where}: {row['incidents']} of {row['expected_incidents']:.1f} expected"
    low, high = row["calibration_ratio_low"], row["calibration_ratio_high"]
    likely = "" if low is None else f" ({low:.2f} to {high:.2f})"
    return f"{tooltip}, ratio {row['calibration_ratio']:.2f}{likely}"
