"""Real demand for benchmarks: Wales, San Francisco and Berlin by day, Montgomery, New York and Nashville by hour.

Every loader returns a ``Panel``. Origins are cutoffs, oldest first: the earlier half is for development, the later half
is locked for the final benchmark. The records stay outside the project.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from pipelines.forecast.demand.evaluation import rolling_origin
from pipelines.forecast.demand.named_days import Place
from pipelines.forecast.demand.series import STEP, Frequency

SHARED = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
NORTH, CENTRAL, SOUTH = "north", "central and west", "south and east"
CONTROLS = {"BC": NORTH, "HD": CENTRAL, "POW": CENTRAL, "SB": CENTRAL, "AB": SOUTH, "CTM": SOUTH, "CV": SOUTH}


@dataclass(frozen=True, slots=True)
class Panel:
    """Series and how they are tested.

    ``history``: ``unique_id, ds, y``, zeros present; ``series``: ``unique_id, name, level, parent`` (the parent's
    ``unique_id``, null at the top); ``place``: whose public holidays they have; ``first_lead``: days ahead from which
    targets are scored; ``sample``: bottom series for which slow peers are run.
    """

    history: pl.DataFrame
    series: pl.DataFrame
    freq: Frequency
    horizon: int
    origins: list[datetime]
    place: Place
    sample: int
    first_lead: int = 0

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
    levels = ["total", "control", "board", "bottom"]
    # The study plans days 43 to 84.
    return _panel(cells, levels, "D", 84, 20, timedelta(days=28), Place("GB", "WLS"), 30, 42)


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
    return _panel(cells, ["total", "district", "bottom"], "D", 28, 20, timedelta(days=28), Place("US", "CA"), 15)


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
    return _panel(cells, ["total", "service", "bottom"], "h", 168, 10, timedelta(days=7), Place("US", "PA"), 10)


def new_york() -> Panel:
    """EMS calls per hour from 2014: city and boroughs; of a repeated hour the first one. The locked half is 2017."""
    hours = pl.read_parquet(SHARED / "new_york" / "ems_hourly.parquet").rename({"hour_start": "ds"})
    boroughs = ["bronx", "brooklyn", "manhattan", "queens", "staten_island"]
    cells = (
        hours.filter(pl.col("ds") >= datetime(2014, 1, 1))
        .unique("ds", keep="first", maintain_order=True)
        .unpivot(boroughs, index="ds", variable_name="bottom", value_name="y")
        .select(pl.col("ds").cast(pl.Datetime("us")), pl.lit("New York").alias("total"), "bottom", pl.col("y") * 1.0)
    )
    return _panel(cells, ["total", "bottom"], "h", 168, 20, timedelta(days=35), Place("US", "NY"), 5)


def nashville() -> Panel:
    """Fire and EMS incidents per hour: city, level of severity, level × kind; until records went missing in 2020."""
    counts = (
        pl.read_parquet(SHARED / "nashville" / "incidents.parquet")
        .filter(pl.col("alarm") >= datetime(2019, 1, 15), pl.col("alarm") < datetime(2020, 4, 26))
        .with_columns(pl.col("alarm").dt.truncate("1h").cast(pl.Datetime("us")).alias("ds"))
        .with_columns(pl.when(pl.col("emd_level").is_in(list("ABCD"))).then("emd_level").otherwise(pl.lit("other")))
        .with_columns(pl.when(pl.len().over("emd_card") >= 5_000).then("emd_card").alias("card"))
        .with_columns(pl.col("card").cast(pl.String).fill_null("rest"))
        .group_by("ds", "emd_level", "card")
        .agg(pl.len().cast(pl.Float64).alias("y"))
    )
    cells = _filled(counts, ["emd_level", "card"], "1h").select(
        "ds",
        "y",
        "emd_level",
        pl.lit("Nashville").alias("total"),
        pl.concat_str("emd_level", "card", separator=" | ").alias("bottom"),
    )
    return _panel(cells, ["total", "emd_level", "bottom"], "h", 168, 20, timedelta(days=14), Place("US", "TN"), 10)


def berlin() -> Panel:
    """Missions of the fire brigade per day: all, and by service; the locked half ends in 2024."""
    days = pl.read_parquet(SHARED / "berlin" / "missions_daily.parquet")
    critical, ems = pl.col("mission_count_ems_critical"), pl.col("mission_count_ems")
    fire, rescue = pl.col("mission_count_fire"), pl.col("mission_count_technical_rescue")
    cells = (
        days.select(
            pl.col("mission_created_date").cast(pl.Datetime("us")).alias("ds"),
            critical.alias("ems, critical"),
            (ems - critical).alias("ems, other"),
            fire.alias("fire"),
            rescue.alias("technical rescue"),
        )
        .unpivot(index="ds", variable_name="bottom", value_name="y")
        .select("ds", pl.lit("Berlin").alias("total"), "bottom", pl.col("y") * 1.0)
    )
    return _panel(cells, ["total", "bottom"], "D", 28, 40, timedelta(days=28), Place("DE", "BE"), 4)


PANELS = {
    "wales": wales,
    "san_francisco": san_francisco,
    "berlin": berlin,
    "montgomery": montgomery,
    "new_york": new_york,
    "nashville": nashville,
}


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
    place: Place,
    sample: int,
    first_lead: int = 0,
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
        place,
        sample,
        first_lead,
    )


def _filled(counts: pl.DataFrame, keys: list[str], every: str) -> pl.DataFrame:
    """All steps of every combination that was ever seen; those without a record are zero."""
    steps = pl.datetime_range(counts["ds"].min(), counts["ds"].max(), every, time_unit="us", eager=True).alias("ds")
    grid = counts.select(keys).unique().sort(keys).join(steps.to_frame(), how="cross")
    return grid.join(counts, on=[*keys, "ds"], how="left").with_columns(pl.col("y").fill_null(0.0))
