"""The variables that an operator sets: defaults of the machine, one-line errors, one class for all of them."""

import re
from pathlib import Path

import pytest

from pipelines.config import environment
from pipelines.config.environment import Environment, SettingError

ROOT = Path(__file__).parents[2]
WRITTEN = re.compile(r"\bBONGSU_([A-Z]+(?:_[A-Z]+)*)\b")


def test_the_defaults_follow_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Environment.model_fields:
        monkeypatch.delenv(f"BONGSU_{name.upper()}", raising=False)
    limits = environment.load()
    assert limits.processes == limits.threads == environment.cores() >= 1
    assert limits.memory_limit == environment.half_of_memory() > 0
    container = tmp_path / "memory.max"
    monkeypatch.setattr(environment, "_CONTAINER_LIMIT", container)
    container.write_text("max\n")
    assert environment.half_of_memory() > 3_000
    container.write_text("6000\n")
    assert environment.half_of_memory() == 3_000


def test_a_variable_replaces_a_default_and_an_empty_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_MEMORY_LIMIT", "2GB")
    monkeypatch.setenv("BONGSU_TIME_ZONE", "America/Toronto")
    monkeypatch.setenv("BONGSU_RETRIES", "")
    limits = environment.load()
    assert (int(limits.memory_limit), str(limits.time_zone), limits.retries) == (2_000_000_000, "America/Toronto", 2)


def test_each_feed_has_a_variable_for_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_URL_FIRE_119", "http://127.0.0.1:9/a")
    monkeypatch.setenv("BONGSU_URL_POLICE_112", "")
    assert environment.load().url == {"fire_119": "http://127.0.0.1:9/a"}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("THREADS", "many", "valid integer"),
        ("THREADS", "0", "greater than 0"),
        ("MEMORY_LIMIT", "lots", "such as 8GB or 8GiB"),
        ("TIME_ZONE", "Mars", "such as America/Toronto"),
        ("ENGINE", "dask", "'local', 'ray' or 'spark'"),
        ("LOCK_TIMEOUT_SECONDS", "inf", "finite number"),
        ("URL", "http://127.0.0.1:9", "such as BONGSU_URL_FIRE_119"),
    ],
)
def test_a_value_that_is_not_allowed_is_one_line_with_variable_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"BONGSU_{name}", value)
    with pytest.raises(SettingError) as caught:
        environment.load()
    message = str(caught.value)
    assert message.startswith(f"BONGSU_{name} is {value!r}: ") and allowed in message and "\n" not in message


def test_every_variable_that_the_code_names_is_in_the_class() -> None:
    files = [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "dags").glob("*.py"), ROOT / "Makefile"]
    named = {match.lower() for path in files for match in WRITTEN.findall(path.read_text("utf-8"))}
    assert {name for name in named if not name.startswith(("url", "key"))} <= set(Environment.model_fields)


def test_only_third_party_variables_are_read_or_set_elsewhere() -> None:
    users = {
        str(path.relative_to(ROOT))
        for folder in ("pipelines", "dags")
        for path in (ROOT / folder).rglob("*.py")
        if "os.environ" in path.read_text("utf-8")
    }
    assert users == {
        "pipelines/__init__.py",  # what Polars returns of its memory
        "pipelines/config/settings.py",  # the key of a feed, by the name that its profile states
        "pipelines/forecast/parallel.py",  # threads of libraries, Ray, Spark
        "pipelines/quality/suites.py",  # Great Expectations
    }
