"""Series and targets shared by the tests of several models."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

MONDAY = datetime(2025, 1, 6)
STAMP = pl.Datetime("us")


def line(counts: np.ndarray, series: int = 1, hours: int = 24) -> pl.DataFrame:
    """One series from ``MONDAY`` on, its steps ``hours`` long."""
    ds = [MONDAY + timedelta(hours=hours * i) for i in range(len(counts))]
    return pl.DataFrame({"unique_id": series, "ds": ds, "y": counts.astype(float)}, schema_overrides={"ds": STAMP})


def targets_of(cutoff: datetime, n: int, series: int = 1, hours: int = 24) -> pl.DataFrame:
    """Targets of one series: the ``n`` steps from ``cutoff`` on."""
    ds = [cutoff + timedelta(hours=hours * i) for i in range(n)]
    frame = {"unique_id": series, "cutoff": cutoff, "ds": ds}
    return pl.DataFrame(frame, schema_overrides={"cutoff": STAMP, "ds": STAMP})
