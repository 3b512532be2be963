"""The Utrecht ambulance region of Dieleman and Jagtenberg (ELASPY): real files outside of the project."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from pipelines.dispatch.travel import Travel
from tests.replay import shared_data

FOLDER = shared_data() / "utrecht"
needs_utrecht = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no real records at {FOLDER}")


def column(name: str) -> list[str]:
    """The last column of a file, as text: bases, hospitals."""
    return pl.read_csv(FOLDER / name, infer_schema=False).to_series(-1).to_list()


def bases(units: int) -> list[str]:
    """The base of each unit in a published solution."""
    return column(f"Base_Locations_Ambulances_MEXCLP_21_22_{units}.csv")


def travel() -> Travel:
    matrix = pl.read_csv(FOLDER / "siren_driving_matrix_2022.csv")
    return Travel(tuple(matrix.columns[1:]), matrix[:, 1:].to_numpy())


def nodes() -> pl.DataFrame:
    """``zone, x, y, weight``, in the order of the matrix."""
    frame = pl.read_csv(FOLDER / "nodes_Utrecht_2021.csv")
    return frame.select(pl.col("postal code").cast(pl.String).alias("zone"), "x", "y", weight="inhabitants")


def trace(number: int, name: str) -> np.ndarray:
    """What a published run was given: one value per call."""
    path = FOLDER / "traces" / f"{name}_test_run_simulation_diesel_{number}.csv"
    return pl.read_csv(path).to_series().to_numpy()


def published(number: int, names: Sequence[str]) -> pl.DataFrame:
    """What a published run gave, one row per call."""
    return pl.read_csv(FOLDER / "traces" / f"Patient_Test_Diesel_{number}.csv").select(names)
