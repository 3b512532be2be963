"""The benchmark's loaders are additive, and its peers see only the past."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS
from tests.benchmarks import demand_data, demand_peers


@pytest.mark.slow
@pytest.mark.skipif(not demand_data.SHARED.is_dir(), reason="the shared data are not here: set BONGSU_SHARED_DATA")
@pytest.mark.parametrize("name", demand_data.PANELS)
def test_every_level_adds_up_to_the_total_and_no_locked_origin_is_for_development(name: str) -> None:
    panel = demand_data.PANELS[name]()
    sums = panel.history.join(panel.series, on="unique_id").group_by("level").agg(pl.col("y").sum(), pl.len())
    assert sums["y"].n_unique() == 1
    steps = panel.history.group_by("unique_id").len()["len"]
    assert steps.n_unique() == 1
    known = set(panel.series["unique_id"])
    assert set(panel.series["parent"].drop_nulls()) <= known
    assert panel.series["parent"].null_count() == 1
    assert max(panel.development) < min(panel.locked)
    requested = demand_data.targets(panel, panel.origins, panel.series.head(1))
    last = requested.join(panel.history, on=["unique_id", "ds"], how="left")
    # New York skips an hour when clocks go forward.
    assert last["y"].null_count() <= 2 and last.height == len(panel.origins) * panel.horizon


@pytest.mark.parametrize("name", ["AutoETS", "seasonal naive", "trailing-year table"])
def test_a_peer_sees_only_the_past_and_its_quantiles_rise(name: str) -> None:
    stamp = pl.Datetime("us")
    start, n = datetime(2025, 1, 6), 200
    ds = [start + timedelta(days=i) for i in range(n)]
    y = np.random.default_rng(1).poisson(20, n).astype(float)
    history = pl.DataFrame({"unique_id": 1, "ds": ds, "y": y}, schema_overrides={"ds": stamp})
    cutoff = ds[180]
    targets = history.filter(pl.col("ds") >= cutoff).select("unique_id", pl.lit(cutoff, stamp).alias("cutoff"), "ds")
    altered = history.with_columns(y=pl.when(pl.col("ds") >= cutoff).then(900.0).otherwise("y"))
    single, two = (demand_peers.PEERS[name](h, targets, "D") for h in (history, altered))
    assert single.equals(two) and single["mean"].null_count() == 0
    assert (np.diff(single.select(COLUMNS).to_numpy(), axis=1) >= 0).all()
    assert single["mean"].mean() == pytest.approx(20, rel=0.2)
