"""Figures for pages that open without a network: SVG text, built from numbers, without external resources.

Every figure has an accessible description and, for simulated data, the notice inside the figure itself, because figures
are copied and passed on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

import shapely
from shapely.geometry.base import BaseGeometry

RAMP = ("#eaf0f6", "#c6d8e8", "#93b7d4", "#5a90bd", "#2c679d", "#123f6b")
"""Light to dark, one hue: readable as an order, also in grey print and for colour-blind readers."""

Scale = Callable[[float], float]
"""From a number to pixels."""

INK, MUTED, LINE, HOT = "#1a2230", "#5b6675", "#d5dbe3", "#c2410c"


@dataclass(frozen=True, slots=True)
class Shape:
    """One area on a map: ``value`` None is drawn empty; ``label`` is the tooltip."""

    name: str
    geometry: BaseGeometry
    value: float | None
    label: str


@dataclass(frozen=True, slots=True)
class Point:
    """One time step of a forecast chart; unknown values are None."""

    start: datetime
    actual: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None


def district_map(
    shapes: Sequence[Shape], description: str, notice: str, *, unit: str, ranked: Sequence[str] = (), width: int = 520
) -> str:
    """Draw a map of areas in classes of about equal size, with legend.

    All areas are named on it; if ``ranked`` names some, those are numbered in that order instead.
    """
    place, height = projection([shape.geometry for shape in shapes], width)
    known = sorted(shape.value for shape in shapes if shape.value is not None)
    breaks = _breaks(known)
    drawn, texts = [], []
    for shape in shapes:
        level = _class(shape.value, breaks)
        colour = "#ffffff" if shape.value is None else _colour(level, len(breaks))
        drawn.append(
            f'<path d="{path(shape.geometry, place)}" fill="{colour}" stroke="#fff" stroke-width="1">'
            f"<title>{escape(shape.label)}</title></path>"
        )
        x, y = place(*_inside(shape.geometry))
        if shape.name in ranked:
            texts.append(badge(x, y, str(ranked.index(shape.name) + 1)))
        elif not ranked:
            texts.append(_name(x, y, shape.name, is_on_dark=shape.value is not None and level >= len(breaks) / 2))
    legend = _legend(known, breaks, height + 14, unit)
    return _svg(width, height + 52, description, notice, *drawn, *texts, legend)


def cell_map(
    outlines: Sequence[BaseGeometry],
    cells: Sequence[Shape],
    marks: Sequence[tuple[float, float]],
    description: str,
    notice: str,
    width: int = 330,
    colour: Callable[[Shape], str] = lambda _: HOT,
) -> str:
    """Draw a small map of grid squares, hot ones unless ``colour`` is given, on district outlines.

    ``marks`` (lon, lat) are drawn as dots.
    """
    place, height = projection(outlines, width)
    ground = [
        f'<path d="{path(outline, place)}" fill="#f3f5f8" stroke="#c3ccd6" stroke-width=".6"/>' for outline in outlines
    ]
    hot = [
        f'<path d="{path(cell.geometry, place, tolerance=0)}" fill="{colour(cell)}" fill-opacity=".8">'
        f"<title>{escape(cell.label)}</title></path>"
        for cell in cells
    ]
    points = [place(lon, lat) for lon, lat in marks]
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1" fill="{INK}" fill-opacity=".7"/>' for x, y in points]
    return _svg(width, height + 18, description, notice, *ground, *hot, *dots)


def forecast_chart(
    points: Sequence[Point],
    now: datetime,
    step: timedelta,
    description: str,
    notice: str,
    *,
    width: int = 560,
    height: int = 210,
) -> str:
    """Draw past calls, then expected calls with their range and the baseline, in local time."""
    left, right, top, bottom = 38, 10, 14, 30
    first, last = points[0].start, points[-1].start + step
    seconds = (last - first).total_seconds()
    highest = max(
        (value for point in points for value in (point.actual, point.high, point.expected) if value), default=1
    )
    ticks = _ticks(highest)

    def x(instant: datetime) -> float:
        return left + (width - left - right) * (instant - first).total_seconds() / seconds

    def y(value: float) -> float:
        return top + (height - top - bottom) * (1 - value / ticks[-1])

    def steps(values: Sequence[tuple[datetime, float]]) -> str:
        return " ".join(
            f"{'M' if number == 0 else 'L'}{x(start):.1f} {y(value):.1f}H{x(start + step):.1f}"
            for number, (start, value) in enumerate(values)
        )

    low = [(point.start, point.low) for point in points if point.low is not None]
    high = [(point.start, point.high) for point in points if point.high is not None]
    actual = [(point.start, point.actual) for point in points if point.actual is not None]
    expected = [(point.start, point.expected) for point in points if point.expected is not None]
    baseline = [(point.start, point.baseline) for point in points if point.baseline is not None]
    parts = [*_value_axis(ticks, y, left, width - right), *_day_axis(first, last, step, x, top, height - bottom)]
    if high:
        back = " ".join(f"L{x(start + step):.1f} {y(value):.1f}H{x(start):.1f}" for start, value in reversed(low))
        parts.append(f'<path d="{steps(high)} {back}Z" fill="#5a90bd" fill-opacity=".28"/>')
    for values, style in (
        (actual, f'stroke="{MUTED}" stroke-width="1.1"'),
        (baseline, f'stroke="{HOT}" stroke-width="1" stroke-dasharray="2 2.5" stroke-opacity=".85"'),
        (expected, 'stroke="#123f6b" stroke-width="1.6"'),
    ):
        if values:
            parts.append(f'<path d="{steps(values)}" fill="none" {style}/>')
    parts.append(
        f'<line x1="{x(now):.1f}" x2="{x(now):.1f}" y1="{top - 6}" y2="{height - bottom}" stroke="{INK}"/>'
        f'<text x="{x(now) + 4:.1f}" y="{top - 3}" font-size="10" fill="{INK}">now</text>'
    )
    wide = (width - left - right) * step.total_seconds() / seconds
    parts += [
        f'<rect x="{x(point.start):.1f}" y="{top}" width="{wide:.1f}" height="{height - top - bottom}" '
        f'fill="transparent">'
        f"<title>{escape(_tooltip(point, step))}</title></rect>"
        for point in points
    ]
    return _svg(width, height, description, notice, *parts)


def bars(values: Sequence[float | None], description: str, notice: str, *, width: int = 150, height: int = 26) -> str:
    """Draw a row of small bars: the shape of a series. Too small for a stamp, it has the notice in its description."""
    highest = max((value for value in values if value), default=1)
    wide = width / max(len(values), 1)
    drawn = [
        f'<rect x="{number * wide:.1f}" y="{height - (height - 2) * value / highest:.1f}" '
        f'width="{max(wide - 1.5, 1):.1f}" '
        f'height="{(height - 2) * value / highest:.1f}" fill="#5a90bd"/>'
        for number, value in enumerate(values)
        if value
    ]
    return _svg(width, height, f"{description} {notice}".strip(), "", *drawn, fluid=False)


def picture(width: int, height: float, description: str, notice: str, *parts: str) -> str:
    """Draw a figure as wide as its column, from parts drawn elsewhere, with its description and the notice inside."""
    return _svg(width, height, description, notice, *parts)


def _svg(width: int, height: float, description: str, notice: str, *parts: str, fluid: bool = True) -> str:
    size = f'width="{width}" height="{height:.0f}"'
    style = ' style="width:100%;height:auto"' if fluid else ""
    stamp = (
        f'<text x="{width - 4}" y="{height - 4:.0f}" font-size="9.5" text-anchor="end" fill="{HOT}" font-weight="600">'
        f"{escape(notice)}</text>"
        if notice
        else ""
    )
    return (
        f'<svg viewBox="0 0 {width} {height:.0f}" {size}{style} role="img" xmlns="http://www.w3.org/2000/svg" '
        f'aria-label="{escape(description, quote=True)}">{"".join(parts)}{stamp}</svg>'
    )


def projection(
    geometries: Sequence[BaseGeometry], width: int
) -> tuple[Callable[[float, float], tuple[float, float]], float]:
    """Return degrees to pixels, true to shape at the middle latitude, which is enough for a page, and the height."""
    west, south, east, north = shapely.total_bounds(list(geometries))
    squeeze = math.cos(math.radians((south + north) / 2))
    scale = (width - 4) / ((east - west) * squeeze)

    def place(lon: float, lat: float) -> tuple[float, float]:
        return 2 + (lon - west) * squeeze * scale, 2 + (north - lat) * scale

    return place, (north - south) * scale + 4


def path(
    geometry: BaseGeometry, place: Callable[[float, float], tuple[float, float]], tolerance: float = 0.0004
) -> str:
    """Return the SVG path of polygons, simplified by a tolerance in degrees."""
    simple = geometry.simplify(tolerance) if tolerance else geometry
    rings = []
    for part in shapely.get_parts(simple):
        if part.geom_type == "Polygon":
            for ring in (part.exterior, *part.interiors):
                points = [place(lon, lat) for lon, lat, *_ in ring.coords[:-1]]
                rings.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z")
    return "".join(rings)


def _inside(geometry: BaseGeometry) -> tuple[float, float]:
    point = shapely.maximum_inscribed_circle(geometry).coords[0] if geometry.area else (0.0, 0.0)
    return float(point[0]), float(point[1])


def _name(x: float, y: float, name: str, is_on_dark: bool) -> str:
    halo = "" if is_on_dark else ' stroke="#fff" stroke-opacity=".75" stroke-width="2.5" paint-order="stroke"'
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="10" text-anchor="middle" dominant-baseline="middle" '
        f'fill="{"#fff" if is_on_dark else INK}"{halo} pointer-events="none">{escape(name)}</text>'
    )


def badge(x: float, y: float, number: str) -> str:
    """Return a numbered disc."""
    return (
        f'<g pointer-events="none"><circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="#fff" '
        f'stroke="{INK}" stroke-width=".8"/>'
        f'<text x="{x:.1f}" y="{y + 3.5:.1f}" font-size="10" font-weight="600" text-anchor="middle" fill="{INK}">'
        f"{number}</text></g>"
    )


def _breaks(known: Sequence[float]) -> list[float]:
    """Return lower bounds of classes of about equal size, each bound once."""
    if not known:
        return []
    classes = min(len(RAMP), len(set(known)))
    return sorted({known[len(known) * number // classes] for number in range(classes)})


def _class(value: float | None, breaks: Sequence[float]) -> int:
    return max((number for number, bound in enumerate(breaks) if value is not None and value >= bound), default=0)


def _colour(level: int, classes: int) -> str:
    return RAMP[round(level * (len(RAMP) - 1) / max(classes - 1, 1))]


def _legend(known: Sequence[float], breaks: Sequence[float], y: float, unit: str) -> str:
    if not breaks:
        return ""
    wide = 58
    labels = [number(bound) for bound in breaks]
    if len(set(labels)) < len(labels):
        labels = [f"{bound:,.2f}" for bound in breaks]
    boxes = [
        f'<rect x="{2 + wide * number}" y="{y:.0f}" width="{wide}" height="9" fill="{_colour(number, len(breaks))}"/>'
        f'<text x="{2 + wide * number}" y="{y + 20:.0f}" font-size="9.5" fill="{MUTED}">{text}</text>'
        for number, text in enumerate(labels)
    ]
    end = 2 + wide * len(breaks)
    return (
        "".join(boxes) + f'<text x="{end + 4}" y="{y + 8:.0f}" font-size="9.5" fill="{MUTED}">'
        f"up to {number(known[-1])} {escape(unit)}</text>"
    )


def _ticks(highest: float) -> list[float]:
    """Return round values from zero to at least the highest, about four of them."""
    rough = highest / 4 or 1
    power = 10 ** math.floor(math.log10(rough))
    size = max(next(factor for factor in (1, 2, 2.5, 5, 10) if rough <= factor * power) * power, 0.5)
    return [size * number for number in range(math.ceil(highest / size) + 1)] if highest else [0, 1]


def _value_axis(ticks: Sequence[float], y: Callable[[float], float], left: float, right: float) -> list[str]:
    return [
        f'<line x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="{LINE}" stroke-width=".7"/>'
        f'<text x="{left - 5}" y="{y(tick) + 3.5:.1f}" font-size="10" text-anchor="end" fill="{MUTED}">{tick:g}</text>'
        for tick in ticks
    ]


def _day_axis(
    first: datetime, last: datetime, step: timedelta, x: Callable[[datetime], float], top: float, bottom: float
) -> list[str]:
    """Draw a line at each local midnight; each day is named, or each Monday if days are narrow."""
    weekly = step >= timedelta(days=1)
    day = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1 if first.hour else 0)
    parts = []
    while day < last:
        if not weekly or day.weekday() == 0:
            parts.append(
                f'<line x1="{x(day):.1f}" x2="{x(day):.1f}" y1="{top}" y2="{bottom + 3}" '
                f'stroke="{LINE}" stroke-width=".7"/>'
            )
            room = x(min(day + timedelta(days=7 if weekly else 1), last)) - x(day)
            if room > 26:
                text = day.strftime("%-d %b" if weekly else "%a %-d" if day.weekday() == 0 else "%a")
                parts.append(
                    f'<text x="{x(day) + 3:.1f}" y="{bottom + 13}" font-size="9.5" fill="{MUTED}">{text}</text>'
                )
        day += timedelta(days=1)
    return parts


def _tooltip(point: Point, step: timedelta) -> str:
    """Return the tooltip of a time step of a chart."""
    when = point.start.strftime("%a %-d %b" if step >= timedelta(days=1) else "%a %-d %b %H:%M")
    message = [f"{when}"]
    if point.actual is not None:
        message.append(f"{number(point.actual)} calls observed")
    if point.expected is not None:
        message.append(f"{number(point.expected)} expected")
    if point.low is not None and point.high is not None:
        message.append(f"likely {number(point.low)} to {number(point.high)}")
    if point.baseline is not None:
        message.append(f"baseline {number(point.baseline)}")
    return " · ".join(message)


def number(value: float) -> str:
    """Format a number of calls, with as many decimals as are meaningful."""
    if value >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"
