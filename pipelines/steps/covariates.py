"""The file of covariates that the profile names for the nightly forecast of demand."""

import polars as pl

from pipelines.config.errors import BongsuError
from pipelines.config.settings import Settings
from pipelines.forecast.demand import covariate_feed, covariate_rows
from pipelines.steps import own_files


def read(settings: Settings) -> tuple[pl.DataFrame | None, str | None]:
    """Return the covariates of demand that can be used, and why not all; a file with an error never stops the run."""
    profile = settings.profile
    if profile.demand.covariates is None:
        return None, None
    path = settings.home / profile.demand.covariates
    try:
        rows = covariate_rows.read(own_files.read(path))
        return covariate_feed.usable(rows, settings.as_of, profile.horizons.hourly_days, profile.zone)
    except BongsuError as error:
        # Where the file is on this machine is published nowhere.
        return None, f"forecast without covariates: {str(error).replace(str(path), path.name)}"
