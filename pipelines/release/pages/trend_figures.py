"""Figures of series: a control chart of weeks and a heat map of the hours of the week, drawn with ``figures``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from pipelines.release.pages import figures
from pipelines.release.pages.figures import HOT, INK, LINE, MUTED, RAMP

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Week:
    """One week of a control chart: its count, and the usual range from the weeks before; None if unknown."""

    start: date
    incidents: int | None
    centre: float | None
    low: int | None
    high: int | None
    signal: str | None


def control_chart(weeks: Sequence[Week], description: str, notice: str, *, width: int = 360, height: int = 150) -> str:
    """Draw weekly counts as a line on the band of the usual range; weeks outside it are dots."""
    left, right, top, bottom = 34, 8, 10, 32
    highest = max(max(week.incidents or 0, week.high or 0) for week in weeks) or 1
    step = (width - left - right) / len(weeks)

    def x(number: float) -> float:
        return left + step * number

    def y(value: float) -> float:
        return top + (height - top - bottom) * (1 - value / highest)

    judged = [
        (number, week.low, week.high)
        for number, week in enumerate(weeks)
        if week.low is not None and week.high is not None
    ]
    band = " ".join(
        [f"L{x(n):.1f} {y(high):.1f}H{x(n + 1):.1f}" for n, _, high in judged]
        + [f"L{x(n + 1):.1f} {y(low):.1f}H{x(n):.1f}" for n, low, _ in reversed(judged)]
    )
    centre = [(number, week.centre) for number, week in enumerate(weeks) if week.centre is not None]
    parts = [
        *_axis(highest, y, left, width - right),
        *_months([week.start for week in weeks], x, height - bottom),
        f'<path d="M{band[1:]}Z" fill="#5a90bd" fill-opacity=".25"/>' if band else "",
        _line(centre, x, y, f'stroke="{MUTED}" stroke-width="1" stroke-dasharray="3 2.5"') if centre else "",
        *(_line(line, x, y, 'stroke="#123f6b" stroke-width="1.4"') for line in _known_runs(weeks)),
    ]
    for number, week in enumerate(weeks):
        if week.signal and week.incidents is not None:
            parts.append(f'<circle cx="{x(number + 0.5):.1f}" cy="{y(week.incidents):.1f}" r="3" fill="{HOT}"/>')
        parts.append(
            f'<rect x="{x(number):.1f}" y="{top}" width="{step:.1f}" height="{height - top - bottom}" '
            f'fill="transparent"><title>{escape(_tooltip(week))}</title></rect>'
        )
    return figures.picture(width, height, description, notice, *parts)


def _known_runs(weeks: Sequence[Week]) -> list[list[tuple[int, float]]]:
    """Return the runs of weeks with a count, as number and count: a line across an unknown week would invent one."""
    runs: list[list[tuple[int, float]]] = [[]]
    for number, week in enumerate(weeks):
        if week.incidents is None:
            runs.append([])
        else:
            runs[-1].append((number, week.incidents))
    return [run for run in runs if run]


def week_heat_map(
    cells: Mapping[tuple[int, int], tuple[float, str]],
    legend: str,
    description: str,
    notice: str,
    *,
    hours: int = 1,
    width: int = 360,
) -> str:
    """Draw days down, hours across, darker for more.

    Args:
        cells: The value and its text, by weekday (1 Monday) and first hour.
        legend: Meaning of the darkest colour.
        description: Accessible description.
        notice: Written inside the figure.
        hours: Hours of a cell.
        width: Width of the figure.
    """
    left, top, tall = 32, 4, 15
    wide = (width - left - 4) / 24
    highest = max(amount for amount, _ in cells.values()) or 1
    parts = [
        f'<text x="0" y="{top + tall * day + 11}" font-size="10" fill="{MUTED}">{name}</text>'
        for day, name in enumerate(WEEKDAYS)
    ]
    for (day, hour), (amount, words) in cells.items():
        colour = RAMP[min(int(len(RAMP) * amount / highest), len(RAMP) - 1)]
        tooltip = f"{WEEKDAYS[day - 1]} {hour:02d}:00 to {hour + hours:02d}:00: {words}"
        parts.append(
            f'<rect x="{left + wide * hour:.1f}" y="{top + tall * (day - 1)}" width="{wide * hours - 0.8:.1f}" '
            f'height="{tall - 1}" fill="{colour}"><title>{escape(tooltip)}</title></rect>'
        )
    below = top + tall * 7 + 11
    parts += [
        f'<text x="{left + wide * hour:.1f}" y="{below}" font-size="10" fill="{MUTED}">{hour}</text>'
        for hour in range(0, 24, 6)
    ]
    parts.append(f'<text x="{left}" y="{below + 15}" font-size="9.5" fill="{MUTED}">{legend}</text>')
    return figures.picture(width, below + 20, description, notice, *parts)


def _line(points: Sequence[tuple[int, float]], x: figures.Scale, y: figures.Scale, style: str) -> str:
    drawn = "L".join(f"{x(number + 0.5):.1f} {y(value):.1f}" for number, value in points)
    return f'<path d="M{drawn}" fill="none" {style}/>'


def _axis(highest: float, y: figures.Scale, left: float, right: float) -> list[str]:
    return [
        f'<line x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{LINE}" stroke-width=".7"/>'
        f'<text x="{left - 5}" y="{y(value) + 3.5:.1f}" font-size="10" text-anchor="end" fill="{MUTED}">'
        f"{figures.number(value)}</text>"
        for value in sorted({0, round(highest / 2), highest})
    ]


def _months(starts: Sequence[date], x: figures.Scale, bottom: float) -> list[str]:
    """Draw a mark at the first week of each second month, with the year at the first of them."""
    parts, shown = [], 0
    for number, start in enumerate(starts):
        begins = number and start.month != starts[number - 1].month
        if begins and start.month % 2:
            text = start.strftime("%b" if shown and start.month != 1 else "%b %Y")
            parts.append(
                f'<line x1="{x(number):.1f}" x2="{x(number):.1f}" y1="{bottom}" y2="{bottom + 4}" stroke="{INK}"/>'
                f'<text x="{x(number):.1f}" y="{bottom + 15}" font-size="9.5" fill="{MUTED}">{text}</text>'
            )
            shown += 1
    return parts


def _tooltip(week: Week) -> str:
    """Return the tooltip of a week."""
    last = week.start + timedelta(days=6)
    message = f"{week.start:%-d %b} to {last:%-d %b %Y}: {'unknown' if week.incidents is None else week.incidents}"
    return message if week.low is None else f"{message} · usual {week.low} to {week.high}"
