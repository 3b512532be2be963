"""The environment: every variable ``BONGSU_…`` and every operating limit, with its default.

Secrets are not among them: a profile names the variable that holds a feed's key, and only that feed reads it.
"""

import os
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipelines.config.errors import BongsuError
from pipelines.config.paths import DEFAULT_HOME

PREFIX: Final = "BONGSU_"
_CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")

Engine = Literal["local", "ray", "spark"]


class SettingError(BongsuError, ValueError):
    """Report that a variable has a value that is not allowed: which, what it is, what is allowed."""


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def half_of_memory() -> ByteSize:
    """Half of the memory of the machine or container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CONTAINER_LIMIT.read_text("ascii").strip() if _CONTAINER_LIMIT.is_file() else ""
    return ByteSize(min(memory, int(limit)) // 2 if limit.isdigit() else memory // 2)


class Environment(BaseSettings):
    """What the operator of this machine sets: where things are and how much may be used."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        # BONGSU_URL_FIRE_119 is the entry `fire_119` of `url`.
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
    )

    home: Path = Field(DEFAULT_HOME, description="Home: folder of all data at run time. A home has one profile.")
    time_zone: ZoneInfo = Field(
        ZoneInfo("Asia/Seoul"), description="Time zone of the schedules in Airflow, such as America/Toronto."
    )
    retries: int = Field(2, ge=0, description="How often the daily DAG repeats a failed task before the task fails.")
    replica: str | None = Field(
        None,
        description="Folder or fsspec URL to which the weekly DAG `continuity` copies the home. Without it no copy is "
        "kept: the DAG only tests a temporary one.",
    )
    url: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="URL of a feed in place of the profile's: a mirror, a replay server. One variable for each feed, "
        "such as BONGSU_URL_FIRE_119.",
    )
    engine: Engine = Field("local", description="Where series are forecast: this machine, or a Ray or Spark cluster.")
    log_level: Literal["INFO", "WARNING", "ERROR"] = Field(
        "WARNING",
        description="Lowest level of the log lines that a command writes to the error stream; Airflow has its own.",
    )
    processes: int = Field(
        default_factory=cores, gt=0, description="Processes that fit models, or write simulated records, in parallel."
    )
    threads: int = Field(default_factory=cores, gt=0, description="Threads of DuckDB and of the risk models.")
    memory_limit: ByteSize = Field(
        default_factory=half_of_memory,
        gt=0,
        description="Memory of DuckDB, such as 8GB or 8GiB; beyond it, DuckDB uses the disk. Set it lower where the "
        "machine runs several homes.",
    )
    keep_releases: int = Field(14, gt=0, description="Number of releases kept, the current one included.")
    lock_timeout_seconds: float = Field(
        60, ge=0, allow_inf_nan=False, description="Longest wait for another process to release the warehouse."
    )
    request_timeout_seconds: float = Field(
        30, gt=0, allow_inf_nan=False, description="Longest wait for the next bytes of a source."
    )
    request_attempts: int = Field(5, gt=0, description="How often a request is sent before its feed fails.")


def load() -> Environment:
    """Read the environment.

    Raises:
        SettingError: A variable has a value that is not allowed.
    """
    try:
        return Environment()
    except ValidationError as error:
        raise SettingError("; ".join(_advice(str(e["loc"][0]), e["input"], e["msg"]) for e in error.errors())) from None


def _advice(field: str, value: object, reason: str) -> str:
    description = Environment.model_fields[field].description
    return f"{PREFIX}{field.upper()} is {value!r}: {reason[0].lower()}{reason[1:]} ({description})"
