"""The settings of a run: its home, profile and ``as_of``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.config import environment
from pipelines.config.profile import ProfileError
from pipelines.config.settings import Settings
from pipelines.monitoring import run_log
from pipelines.steps.check_profile import refuse_problems
from pipelines.store.home import profile_of, protect, record_profile


def settings_for(
    home: Path, profile: str | None = None, as_of: str | None = None, now: datetime | None = None, writes: bool = True
) -> Settings:
    """Settings for a home: its recorded profile, or the one given at first use.

    A step that writes protects the home from other users and records the profile.

    Raises:
        ProfileError: The home has another profile, the profile cannot be used, or ``as_of`` is in the future and the
            records are real.
    """
    now = now or datetime.now(UTC)
    chosen = profile_of(home, profile)
    instant = chosen.as_of(as_of, now)
    if instant > now and not chosen.is_simulated:
        raise ProfileError(f"--as-of {as_of} is in the future; feeds read through it would deliver nothing until then")
    if writes:
        refuse_problems(chosen)
        protect(home)
        record_profile(home, profile)
    return Settings(home=home, profile=chosen, as_of=instant)


def settings_of_last_run(home: Path, profile: str | None = None, as_of: str | None = None) -> Settings:
    """Settings at the ``as_of`` of the home's last run, so that what is rebuilt equals what was there."""
    settings = settings_for(home, profile, as_of)
    last = None if as_of else run_log.last_as_of(settings)
    return settings if last is None else settings.model_copy(update={"as_of": last})


def settings_of_newest_run(home: Path, profile: str | None = None, as_of: str | None = None) -> Settings:
    """Settings at the ``as_of`` given, else at that of the newest run, to judge it.

    A run that started before the profile's run time and ended after it keeps its own ``as_of``.
    """
    settings = settings_for(home, profile, as_of, writes=False)
    newest = None if as_of else run_log.newest_as_of(settings)
    return settings if newest is None else settings.model_copy(update={"as_of": newest})


def settings_of_dag_run(dag_run: Any, follows_schedule: bool = True) -> Settings:
    """Settings of an Airflow run: profile and ``as_of`` from its conf, else the home's profile.

    Without an ``as_of``, a run that follows the profile's schedule is judged at the last run time before it was due;
    any other at the instant it was due.
    """
    conf, due = dict(dag_run.conf or {}), dag_run.run_after
    as_of = conf.get("as_of") or (None if follows_schedule else due.isoformat())
    return settings_for(environment.load().home, conf.get("profile"), as_of, due)
