"""The small tables next to this module; `README.md` describes their content and source."""

from functools import cache
from importlib.resources import files

import polars as pl


@cache
def table(name: str) -> pl.DataFrame:
    """Read one of the tables next to this module; ids are text."""
    source = (files("pipelines.simulator") / f"{name}.csv").read_bytes()
    ids = {"province_id": pl.String, "district_id": pl.String}
    header = source.split(b"\n", 1)[0].decode().split(",")
    return pl.read_csv(source, schema_overrides={name: dtype for name, dtype in ids.items() if name in header})
