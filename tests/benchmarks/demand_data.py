"""Real demand for benchmarks: Wales and San Francisco by day, Montgomery by hour, each with its levels.

Every loader returns ``Panel(history, series, freq, horizon, origins)``. Origins are cutoffs, oldest first: the earlier
half is for development, the later half is locked for the final benchmark. The records stay outside the project.
"""

import os
import zipfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import polars as pl

from pipelines.forecast.demand.evaluation import rolling_origin
from pipelines.forecast.demand.named_days import Place, named_days
from pipelines.forecast.demand.series import STEP, Frequency

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
NORTH, CENTRAL, SOUTH = "north", "central and west", "south and east"
CONTROLS = {"BC": NORTH, "HD": CENTRAL, "POW": CENTRAL, "SB": CENTRAL, "AB": SOUTH, "CTM": SOUTH, "CV": SOUTH}


@dataclass(frozen=True, slots=True)
class Panel:
    """Series and how they are tested.

    ``history``: ``unique_id, ds, y``, zeros present; ``series``: ``unique_id, name, level, parent`` (the parent's
    ``unique_id``, null at the top); ``covariates``: ``ds`` and 0/1 columns of days known ahead.
    """

    history: pl.DataFrame
    series: pl.DataFrame
    freq: Frequency
    horizon: int
    origins: list[datetime]
    covariates: pl.DataFrame

    @property
    def development(self) -> list[datetime]:
        """The earlier half of the origins: look, choose, tune."""
        return self.origins[: len(self.origins) // 2]

    @property
    def locked(self) -> list[datetime]:
        """The later half: opened once, when everything is chosen."""
        return self.origins[len(self.origins) // 2 :]


def wales() -> Panel:
    """Attended ambulance incidents per day: nation, 3 control areas, 7 boards, board × category × nature (691).

    Origins four weeks apart, 84 days ahead, as the published study scores days 43 to 84; its year is the locked half.
    """
    cells = pl.read_parquet(SHARED / "wales" / "ems_daily_demand.parquet").select(
        pl.col("date").cast(pl.Datetime("us")).alias("ds"),
        pl.lit("Wales").alias("total"),
        pl.col("lhb_code").replace_strict(CONTROLS).alias("control"),
        pl.col("lhb_code").alias("board"),
        pl.concat_str("lhb_code", "category", "nature_of_incident", separator=" | ").alias("bottom"),
        pl.col("incidents").alias("y"),
    )
    return _panel(cells, ["total", "control", "board", "bottom"], "D", 84, 20, timedelta(days=28), _welsh_days())


def san_francisco() -> Panel:
    """Police incidents per day: city, districts, district × category; days without a record are zeros."""
    counts = (
        pl.read_parquet(SHARED / "san_francisco" / "police_daily_counts.parquet")
        .with_columns(pl.col("date").str.to_datetime(time_unit="us").alias("ds"))
        .group_by("ds", "district", "category")
        .agg(pl.col("count").sum().cast(pl.Float64).alias("y"))
    )
    cells = _filled(counts, ["district", "category"], "1d").select(
        "ds",
        "y",
        "district",
        pl.lit("San Francisco").alias("total"),
        pl.concat_str("district", "category", separator=" | ").alias("bottom"),
    )
    days = _holidays(Place("US", "CA"), date(2021, 12, 1), date(2026, 2, 1))
    return _panel(cells, ["total", "district", "bottom"], "D", 28, 20, timedelta(days=28), days)


def montgomery() -> Panel:
    """911 calls per hour: county, service, service × township; townships of fewer than 1,000 calls are one group."""
    calls = pl.read_parquet(SHARED / "montgomery" / "calls_911.parquet").select(
        pl.col("timeStamp").str.to_datetime(time_unit="us").dt.truncate("1h").alias("ds"),
        pl.col("title").str.split(":").list.first().alias("service"),
        pl.when(pl.len().over("twp") >= 1_000).then("twp").otherwise(pl.lit("rest")).alias("township"),
    )
    # The first day began in the afternoon.
    counts = (
        calls.filter(pl.col("ds") >= datetime(2015, 12, 11))
        .group_by("ds", "service", "township")
        .agg(pl.len().cast(pl.Float64).alias("y"))
    )
    cells = _filled(counts, ["service", "township"], "1h").select(
        "ds",
        "y",
        "service",
        pl.lit("Montgomery").alias("total"),
        pl.concat_str("service", "township", separator=" | ").alias("bottom"),
    )
    days = _holidays(Place("US", "PA"), date(2015, 12, 1), date(2016, 8, 1))
    return _panel(cells, ["total", "service", "bottom"], "h", 168, 10, timedelta(days=7), days)


PANELS = {"wales": wales, "san_francisco": san_francisco, "montgomery": montgomery}


def targets(panel: Panel, origins: list[datetime], ids: pl.DataFrame | None = None) -> pl.DataFrame:
    """``unique_id, cutoff, ds`` of all series (or of ``ids``) and every step ahead of each origin."""
    names = (panel.series if ids is None else ids).select("unique_id")
    step = panel.origins[1] - panel.origins[0]
    parts = [
        rolling_origin.past_targets(names.with_columns(cutoff=pl.lit(o + step)), panel.freq, panel.horizon, step, 1)
        for o in origins
    ]
    return pl.concat(parts)


def _panel(
    cells: pl.DataFrame,
    levels: list[str],
    freq: Frequency,
    horizon: int,
    count: int,
    step: timedelta,
    days: pl.DataFrame,
) -> Panel:
    """Sum cells into every level; a name belongs to one parent."""
    frames, parents = [], []
    for above, level in zip([None, *levels[:-1]], levels, strict=True):
        parent = pl.lit(None, pl.String) if above is None else pl.col(above).first()
        frames.append(
            cells.group_by(pl.col(level).alias("name"), "ds").agg(pl.col("y").sum()).with_columns(level=pl.lit(level))
        )
        parents.append(
            cells.group_by(pl.col(level).alias("name")).agg(parent.alias("above")).with_columns(level=pl.lit(level))
        )
    order = pl.Enum(levels)
    named = pl.concat(parents).sort(pl.col("level").cast(order), "name").with_row_index("unique_id")
    up = named.select(pl.col("name").alias("above"), pl.col("unique_id").alias("parent")).unique("above", keep="first")
    series = named.join(up, on="above", how="left", maintain_order="left")
    history = (
        pl.concat(frames)
        .join(series.select("unique_id", "name", "level"), on=["name", "level"])
        .select("unique_id", "ds", "y")
        .sort("unique_id", "ds")
    )
    end: datetime = history.select(pl.col("ds").max()).item() + STEP[freq]
    first_end = end - STEP[freq] * horizon + step
    return Panel(
        history,
        series.select("unique_id", "name", "level", "parent"),
        freq,
        horizon,
        rolling_origin.origins(first_end, step, count),
        days,
    )


def _filled(counts: pl.DataFrame, keys: list[str], every: str) -> pl.DataFrame:
    """All steps of every combination that was ever seen; those without a record are zero."""
    steps = pl.datetime_range(counts["ds"].min(), counts["ds"].max(), every, time_unit="us", eager=True).alias("ds")
    grid = counts.select(keys).unique().sort(keys).join(steps.to_frame(), how="cross")
    return grid.join(counts, on=[*keys, "ds"], how="left").with_columns(pl.col("y").fill_null(0.0))


def _holidays(place: Place, first: date, last: date) -> pl.DataFrame:
    """Every day with ``public``, 1 on a public holiday."""
    is_public = (
        pl.col("ds").is_in(named_days(place, first, last).filter("is_holiday")["day"].implode()).cast(pl.Float64)
    )
    days = pl.date_range(first, last, eager=True).alias("ds").to_frame()
    return days.select(pl.col("ds").cast(pl.Datetime("us")), is_public.alias("public"))


def _welsh_days() -> pl.DataFrame:
    """``public``, ``festive``, ``school`` and ``rugby`` days of Wales, from the study's own sheet."""
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(SHARED / "wales" / "holidays_rugby.xlsx") as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    rows = [
        {cell.attrib["r"][0]: cell.findtext("x:v", None, space) for cell in row.iterfind("x:c", space)}
        for row in sheet.iterfind(".//x:row", space)
    ][1:]
    day = pl.from_epoch(pl.col("A").cast(pl.Int64) - 25_569, "d").cast(pl.Datetime("us")).alias("ds")

    def flag(column: str, name: str) -> pl.Expr:
        return pl.col(column).is_not_null().cast(pl.Float64).alias(name)

    return (
        pl.DataFrame(rows, schema={c: pl.String for c in "ABCDE"}, strict=False)
        .drop_nulls("A")
        .select(
            day,
            flag("C", "public"),
            flag("B", "festive"),
            flag("D", "school"),
            (pl.col("E") == "1").fill_null(False).cast(pl.Float64).alias("rugby"),
        )
        .unique("ds", keep="first")
        .sort("ds")
    )
