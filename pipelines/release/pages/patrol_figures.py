"""Maps of places to patrol: the whole region, and one small map per station area with the places numbered by rank."""

from collections.abc import Sequence
from html import escape

import shapely
from shapely.geometry.base import BaseGeometry

from pipelines.release.pages import figures
from pipelines.release.pages.figures import HOT, INK, MUTED, Shape

METRES_PER_DEGREE = 111_320.0
"""Of latitude, for the scale bar."""


def region_map(outlines: Sequence[BaseGeometry], places: Sequence[Shape], description: str, notice: str) -> str:
    """Draw all places on the outlines of the station areas, darker the more is expected (`Shape.value`)."""
    most = max((place.value or 0.0 for place in places), default=0.0) or 1.0

    def colour(place: Shape) -> str:
        return figures.RAMP[1 + min(int((place.value or 0.0) / most * 5), 4)]

    return figures.cell_map(outlines, places, [], description, notice, width=560, colour=colour)


def station_map(outline: BaseGeometry, places: Sequence[Shape], description: str, notice: str, width: int = 250) -> str:
    """Draw the places of one station area, numbered by their order, with a bar of one kilometre."""
    place, height = figures.projection([outline, *(shape.geometry for shape in places)], width)
    parts = [f'<path d="{figures.path(outline, place, 0.0002)}" fill="#f3f5f8" stroke="#c3ccd6" stroke-width="1"/>']
    parts += [
        f'<path d="{figures.path(shape.geometry, place, 0)}" fill="{HOT}" fill-opacity=".75">'
        f"<title>{escape(shape.label)}</title></path>"
        for shape in places
    ]
    for number, shape in enumerate(places, 1):
        centre = shapely.centroid(shape.geometry)
        x, y = place(centre.x, centre.y)
        parts.append(figures.badge(min(max(x + 11, 8), width - 8), max(y - 9, 8), str(number)))
    _, _, _, north = outline.bounds
    _, kilometre = place(outline.bounds[0], north - 1000 / METRES_PER_DEGREE)
    bar = kilometre - place(outline.bounds[0], north)[1]
    parts.append(
        f'<path d="M4 {height + 10:.1f}h{bar:.1f}" stroke="{INK}" stroke-width="1.5"/>'
        f'<text x="{8 + bar:.1f}" y="{height + 13:.1f}" font-size="10" fill="{MUTED}">1 km</text>'
    )
    return figures.picture(width, height + 20, description, notice, *parts)
