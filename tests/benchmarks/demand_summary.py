"""Every stored benchmark of demand in one table: `python -m tests.benchmarks.demand_summary FOLDER [development]`.

FOLDER has the forecasts of `demand`. By panel and level: the scaled pinball loss of what is published over that of the
table and of the best single peer (the one that is best over all levels), each with the upper bound (97.5 %) of a paired
bootstrap over blocks of target dates, each as long as the horizon; below `FEWEST_BLOCKS` blocks there is no bound.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from pipelines.forecast.demand.evaluation import scoring
from pipelines.forecast.demand.models.registry import TABLE
from pipelines.forecast.demand.series import STEP
from tests.benchmarks import demand
from tests.benchmarks.demand import PUBLISHED
from tests.benchmarks.demand_data import PANELS

PEERS: Final = ("table", "trailing-year table", "AutoETS", "default Prophet", "boosting", "regression", "ets")
"""Single methods; the last three are ours alone (LightGBM on the same features, ridge regression, exponential
smoothing)."""
FEWEST_BLOCKS: Final = 8
DRAWS: Final = 2_000
KEYS: Final = ["unique_id", "cutoff", "ds"]


def losses(name: str, folder: Path, is_development: bool) -> pl.DataFrame:
    """Scaled pinball losses: ``level, unique_id, cutoff, ds, block, model, loss, covered, expected``."""
    what = demand.trial(name, is_development)
    stem = f"{name}_development" if is_development else name
    rows = pl.concat(pl.read_parquet(folder / f"{stem}_{part}.parquet") for part in ("ours", "peers"))
    span = STEP[what.panel.freq] * what.panel.horizon
    table = pl.when(pl.col("model") == TABLE[what.panel.freq]).then(pl.lit("table")).otherwise("model")
    labelled = demand.labelled(what, rows).filter(pl.col("scale") > 0, pl.col("y").is_not_null())
    begin: object = labelled["ds"].min()
    return labelled.select(
        "level",
        *KEYS,
        ((pl.col("ds") - pl.lit(begin)).dt.total_seconds() // int(span.total_seconds())).alias("block"),
        table.alias("model"),
        (scoring.mean_pinball() / pl.col("scale")).alias("loss"),
        pl.col("y").is_between(pl.col("q0.1"), pl.col("q0.9")).alias("covered"),
        "expected",
    )


def ratios(rows: pl.DataFrame, reference: str) -> pl.DataFrame:
    """Loss of what is published over the reference's: ``level, ratio, high, blocks``; levels that both forecast."""
    paired = rows.filter(pl.col("model") == PUBLISHED).join(
        rows.filter(pl.col("model") == reference).select(*KEYS, "level", pl.col("loss").alias("usual")),
        on=[*KEYS, "level"],
    )
    complete = rows.group_by("level").agg((pl.col("model") == PUBLISHED).sum().alias("targets"))
    paired = paired.join(complete, on="level").filter(pl.len().over("level") == pl.col("targets"))
    result = []
    for (level,), part in paired.group_by("level", maintain_order=True):
        sums = part.group_by("block").agg(pl.col("loss", "usual").sum()).sort("block")
        loss, usual = sums["loss"].to_numpy(), sums["usual"].to_numpy()
        drawn = np.random.default_rng(11).integers(0, loss.size, (DRAWS, loss.size))
        high = float(np.quantile(loss[drawn].sum(axis=1) / usual[drawn].sum(axis=1), 0.975))
        result.append((level, loss.sum() / usual.sum(), high if loss.size >= FEWEST_BLOCKS else None, loss.size))
    return pl.DataFrame(result, schema=["level", "ratio", "high", "blocks"], orient="row")


def best_peer(rows: dict[str, pl.DataFrame]) -> tuple[str, dict[str, float]]:
    """The peer over which the geometric mean of our ratios is highest, and that mean for every peer."""
    means = {}
    for peer in PEERS:
        logs = np.concatenate([np.log(ratios(part, peer)["ratio"].to_numpy()) for part in rows.values()])
        means[peer] = float(np.exp(logs.mean()))
    return max(means, key=lambda peer: means[peer]), means


def main() -> None:
    """Print both tables."""
    folder, is_development = Path(sys.argv[1]), "development" in sys.argv[2:]
    suffix = "_development_ours.parquet" if is_development else "_ours.parquet"
    names = [name for name in PANELS if (folder / f"{name}{suffix}").exists()]
    rows = {name: losses(name, folder, is_development) for name in names}
    best, means = best_peer(rows)
    console = Console(width=170)
    peers = Table("peer", "published / peer, geometric mean over panels and levels")
    for peer, mean in sorted(means.items(), key=lambda item: -item[1]):
        peers.add_row(peer, f"{mean:.4f}")
    console.print(peers)
    table = Table("panel", "level", "blocks", "over table", "upper", f"over {best}", "upper", "over best here", "which",
                  "direct / table", "bottom-up / table", "covered", "expected")  # fmt: skip
    for name, part in rows.items():
        means_of = (
            part.group_by("level", "model", maintain_order=True)
            .agg(pl.col("loss", "covered", "expected").mean(), pl.len())
            .filter(pl.col("len") == pl.col("len").max().over("level"))
        )
        for level in part["level"].unique(maintain_order=True):
            of_level = means_of.filter(pl.col("level") == level)
            loss = dict(of_level.select("model", "loss").iter_rows())
            published = of_level.filter(pl.col("model") == PUBLISHED).row(0, named=True)
            first, second = (ratios(part.filter(pl.col("level") == level), peer).to_dicts() for peer in ("table", best))
            here = min((peer for peer in PEERS if peer in loss), key=lambda peer: loss[peer])
            table.add_row(
                name, level, str(first[0]["blocks"]), *_cells(first), *_cells(second),
                f"{loss[PUBLISHED] / loss[here]:.4f}", here, f"{loss['chosen'] / loss['table']:.4f}",
                f"{loss['chosen, coherent'] / loss['table']:.4f}",
                f"{published['covered']:.3f}", f"{published['expected']:.3f}",
            )  # fmt: skip
    console.print(table)


def _cells(matches: list[dict[str, float | None]]) -> tuple[str, str]:
    if not matches:
        return "-", "-"
    return f"{matches[0]['ratio']:.4f}", "-" if matches[0]["high"] is None else f"{matches[0]['high']:.4f}"


if __name__ == "__main__":
    main()
