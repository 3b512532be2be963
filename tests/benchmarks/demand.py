"""Forecasts of demand compared with peers: `python -m tests.benchmarks.demand PANEL [FOLDER [development]]`.

PANEL: a name of `demand_data.PANELS`. Models compete, and ranges are fitted, at origins before each scored one; the
scored ones are the locked half, with `development` the later ones of the development half. FOLDER stores the forecasts,
so that tables can be printed again without another run; `demand_summary` compares several panels.

Ours: `chosen`, each level's own forecast; `chosen, coherent`, sums of joint sample paths of the bottom, whose own
ranges stay the same; `chosen, informed`, the same with bottom means adjusted by upper levels, as published. Single
models of ours have negative binomial ranges; `boosting` is LightGBM with a Poisson mean. Prophet is run above the
bottom only, as the nightly run does. Default Prophet and AutoETS are run above the bottom and for a sample of it.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl
from rich.console import Console

from pipelines.forecast.demand import backtest_figure, calendar_effects, versions
from pipelines.forecast.demand.evaluation import calibration, combine, rolling_origin, scoring
from pipelines.forecast.demand.evaluation.combine import Published
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS
from pipelines.forecast.demand.hierarchy import area_hierarchy, reconciliation
from pipelines.forecast.demand.models import prophet, registry
from pipelines.forecast.demand.models.registry import BASELINE, TABLE
from pipelines.forecast.demand.named_days import named_days
from pipelines.forecast.demand.series import STEP
from tests.benchmarks import demand_peers, demand_scores
from tests.benchmarks.demand_data import PANELS, Panel, targets

BOTTOM = "bottom"
PUBLISHED = f"{CHOSEN}, informed"
REFERENCES = ("default Prophet", "AutoETS", "Prophet and ETS", "trailing-year table")
DEVELOPED = 4
"""Development origins that are never scored."""
SEED = 11
ROW = ["unique_id", "cutoff", "ds", "model", "models", "mean", *COLUMNS, "expected", "exact"]


@dataclass(frozen=True, slots=True)
class Trial:
    """The forecasts: a panel, training origins and scored origins."""

    panel: Panel
    teaching: list[datetime]
    scored: list[datetime]

    def due(self) -> pl.Expr:
        """Targets that are scored."""
        far = pl.col("ds") >= pl.col("cutoff") + pl.duration(days=self.panel.first_lead)
        return pl.col("cutoff").is_in(self.scored) & far


def trial(name: str, is_development: bool) -> Trial:
    """The locked trial of a panel, or one at its development origins."""
    panel = PANELS[name]()
    if is_development:
        return Trial(panel, panel.development[:DEVELOPED], panel.development[DEVELOPED:])
    return Trial(panel, panel.development, panel.locked)


def targets_ahead(panel: Panel, origins: list[datetime]) -> pl.DataFrame:
    """Targets with ``level``, ``pool`` (a level; at the bottom of several services, the service) and
    ``is_requested``."""
    is_bottom = pl.col("level") == BOTTOM
    service = pl.col("name").str.split(" | ").list.first()
    has_services = "service" in panel.series["level"]
    pool = pl.when(is_bottom & has_services).then(service).otherwise("level").alias("pool")
    named = panel.series.select("unique_id", "level", pool, (~is_bottom).alias("is_requested"))
    return targets(panel, origins).join(named, on="unique_id", how="left", maintain_order="left")


def ours(what: Trial) -> Published:
    """All of our models at all origins, the selection at each, and ranges."""
    panel, freq = what.panel, what.panel.freq
    requested = targets_ahead(panel, [*what.teaching, *what.scored])
    first, last = panel.history["ds"].min(), requested["ds"].max()
    calendar = named_days(panel.place, first.date(), last.date())  # type: ignore[union-attr]
    pools = requested.select("unique_id", "pool").unique()
    known = versions.history(panel.history, STEP[freq])
    judged = calendar_effects.judged(known, pools, calendar, requested["cutoff"], freq)
    models = [
        replace(model, predict=_timed(model.name, model.predict))
        for model in registry.available(freq, prophet.predict, 0.0)
    ]
    predictions = rolling_origin.run(models, judged, requested)
    return _timed("choice and ranges", combine.published)(predictions, registry.PRIOR, BASELINE, freq)


def _timed(name: str, work: Callable) -> Callable:  # type: ignore[type-arg]
    def call(*given, **named):  # type: ignore[no-untyped-def]
        begin = time.perf_counter()
        result = work(*given, **named)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
        return result

    return call


def ranged(what: Trial, built: Published) -> pl.DataFrame:
    """``ROW`` of the scored targets of every model of ours."""
    due = built.forecasts.filter(what.due())
    result = calibration.with_quantiles(due, built.curves)
    return result.with_columns(
        scoring.expected_coverage(result, built.curves).alias("expected"),
        scoring.crps(result, built.curves).alias("exact"),
    ).select(ROW)


def members(panel: Panel) -> pl.DataFrame:
    """``unique_id`` of the bottom and the series above it, widest first, as from ``area_hierarchy.members``."""
    up = panel.series.select("unique_id", pl.col("parent").alias("above"))
    levels = [level for level in panel.series["level"].unique(maintain_order=True) if level != BOTTOM]
    result = panel.series.filter(pl.col("level") == BOTTOM).select("unique_id", pl.col("parent").alias(levels[-1]))
    for fine, wide in zip(levels[:0:-1], levels[-2::-1], strict=True):
        result = result.join(up.rename({"unique_id": fine, "above": wide}), on=fine, how="left")
    return result.select("unique_id", *levels).sort("unique_id").rename({levels[0]: area_hierarchy.WHOLE})


def coherent(what: Trial, built: Published) -> pl.DataFrame:
    """``ROW`` of sums over areas, fitted before each scored origin as in the nightly run; without and with the upper
    levels' own forecasts."""
    chosen = built.forecasts.filter(pl.col("model") == CHOSEN).with_columns(pl.col("centre").alias("mean"))
    result = []
    for name, is_informed in ((f"{CHOSEN}, coherent", False), (PUBLISHED, True)):
        rows = chosen.select(reconciliation.FORECAST_COLUMNS)
        family = reconciliation.Family(rows, [members(what.panel)], what.panel.freq, is_informed=is_informed)
        sums = _timed(name, reconciliation.add_up)(family, what.scored, built.curves)
        whole = reconciliation.added(chosen, sums).filter(what.due())
        ranged_rows = calibration.with_quantiles(whole, built.curves)
        result.append(
            ranged_rows.with_columns(
                pl.lit(name).alias("model"),
                scoring.expected_coverage(ranged_rows, built.curves).alias("expected"),
                scoring.crps(ranged_rows, built.curves).alias("exact"),
            ).select(ROW)
        )
    return pl.concat(result)


def sampled(what: Trial) -> pl.DataFrame:
    """Bottom series for which slow peers are run, drawn once."""
    return what.panel.series.filter(pl.col("level") == BOTTOM).sample(what.panel.sample, seed=SEED).sort("unique_id")


def peers(what: Trial) -> pl.DataFrame:
    """``ROW`` of every peer; the slow ones above the bottom and on the sample of it."""
    panel = what.panel
    due = targets(panel, what.scored).filter(what.due())
    few = due.join(
        pl.concat([panel.series.filter(pl.col("level") != BOTTOM), sampled(what)]), on="unique_id", how="semi",
        maintain_order="left",
    )  # fmt: skip
    answers: dict[str, pl.DataFrame] = {}
    for name, peer in demand_peers.PEERS.items():
        if name == "Prophet and ETS":
            answers[name] = demand_peers.averaged([answers["default Prophet"], answers["AutoETS"]], few)
        else:
            is_slow = name in ("default Prophet", "AutoETS")
            answers[name] = _timed(name, peer)(panel.history, few if is_slow else due, panel.freq)
    return pl.concat(
        predictions.with_columns(
            pl.lit(name).alias("model"),
            pl.lit(name).alias("models"),
            pl.lit(None if name == "trailing-year table" else 0.8, pl.Float64).alias("expected"),
            pl.lit(None, pl.Float64).alias("exact"),
        ).select(ROW)
        for name, predictions in answers.items()
    )


def labelled(what: Trial, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with outcome, scale and level; the sample of the bottom is a separate level next to the bottom."""
    known = what.panel.history.filter(pl.col("ds") < what.scored[0])
    full = (
        rows.join(what.panel.history, on=["unique_id", "ds"], how="left", maintain_order="left")
        .join(what.panel.series.select("unique_id", "name", "level"), on="unique_id", maintain_order="left")
        .join(scoring.season_errors(known, what.panel.freq), on="unique_id", how="left", maintain_order="left")
    )
    some = full.join(sampled(what), on="unique_id", how="semi", maintain_order="left")
    order = [*what.panel.series["level"].unique(maintain_order=True), sample_name(what)]
    both = pl.concat([full, some.with_columns(pl.lit(sample_name(what)).alias("level"))])
    return both.sort(pl.col("level").cast(pl.Enum(order)), maintain_order=True)


def sample_name(what: Trial) -> str:
    """The name of the sample of the bottom."""
    return f"{BOTTOM}, {what.panel.sample} drawn"


def kept(path: Path | None, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """The result of ``make``, from the file if there is one."""
    if path is not None and path.exists():
        return pl.read_parquet(path)
    result = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        result.write_parquet(path)
    return result


def _of_ours(what: Trial) -> pl.DataFrame:
    built = ours(what)
    our_rows = _timed("quantiles", ranged)(what, built)
    return pl.concat([our_rows, _timed("paths", coherent)(what, built)])


def main() -> None:
    """Print the tables of one panel."""
    name, folder = sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None
    is_development = "development" in sys.argv[3:]
    what = trial(name, is_development)
    stem = f"{name}_development" if is_development else name
    place = None if folder is None else folder / stem
    stored_ours = kept(place and place.with_name(f"{stem}_ours.parquet"), partial(_of_ours, what))
    theirs = kept(place and place.with_name(f"{stem}_peers.parquet"), partial(peers, what))
    rows = labelled(what, pl.concat([stored_ours, theirs]))
    console = Console(width=190)
    days = [f"{origin:%Y-%m-%d}" for origin in (what.teaching[0], what.scored[0], what.scored[-1])]
    console.print(f"{name}: taught from {days[0]}, {len(what.scored)} origins scored, {days[1]} to {days[2]}")
    table = TABLE[what.panel.freq]
    # Hours: a locked half of few weeks has too few blocks of seven days.
    block_days = 1 if what.panel.freq == "h" else 7
    demand_scores.show(rows, [table, *REFERENCES], demand_peers.PEERS, console, block_days)
    our_rows = rows.filter(pl.col("level") != sample_name(what))
    series = demand_scores.by_series(our_rows, table)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=190, fmt_str_lengths=60):
        shown = series.filter(pl.col("skill").is_not_null()).drop("unique_id", "model", "usual")
        print(shown.head(10), shown.filter(pl.col("rate") >= backtest_figure.BUSY).head(10))
    if place:
        demand_scores.draw(our_rows, series, place.with_suffix(".png"))


if __name__ == "__main__":
    main()
