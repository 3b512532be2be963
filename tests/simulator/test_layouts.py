"""The files of the 119 layouts: the real fields and pitfalls, and the same calls as the service."""

import io
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from pipelines import simulator
from pipelines.config import profile as profiles
from pipelines.feeds import fire_calls_jeonbuk, fire_ems_busan, fire_rescue_busan
from pipelines.feeds.feed import Feed, conform

KOREA = profiles.load("korea")
DAYS = date(2025, 11, 1), date(2025, 11, 6)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return simulator.fire_files(KOREA, "52", tmp_path_factory.mktemp("files"), *DAYS)


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(path.read_bytes().decode("cp949").encode()), infer_schema=False)


@pytest.mark.parametrize(
    ("layout", "feed"),
    [("calls", fire_calls_jeonbuk.FEED), ("ems", fire_ems_busan.FEED), ("rescue", fire_rescue_busan.FEED)],
)
def test_every_layout_has_the_fields_of_its_feed(files: dict[str, Path], layout: str, feed: Feed) -> None:
    frame = conform(feed, feed.parse([files[layout].read_bytes()]))
    assert frame.height > 3
    assert frame["_extra"].is_null().all()


def test_times_of_day_lose_their_leading_zeros_and_dates_do_not(files: dict[str, Path]) -> None:
    calls = read(files["calls"])
    whole = pl.concat_str(pl.col("dclr_ymd"), pl.col("dclr_tm").str.zfill(6))
    assert calls.select((whole == pl.col("dclr_dt")).all()).item()
    assert calls["dclr_tm"].str.len_chars().min() < 6  # type: ignore[operator]
    assert not calls["dclr_tm"].str.starts_with("0").filter(calls["dclr_tm"] != "0").any()


def test_a_call_has_one_row_per_unit_and_advice_has_no_location(files: dict[str, Path]) -> None:
    calls = read(files["calls"])
    units = calls.group_by("dclr_rcpt_no").len()["len"]
    assert units.max() > 1  # type: ignore[operator]
    quiet = calls.filter(pl.col("dspt_drtv_dt").is_null())
    assert quiet["damg_rgn_lot"].is_null().mean() == pytest.approx(0.8, abs=0.1)
    sent = calls.filter(pl.col("dspt_drtv_dt").is_not_null())
    assert sent["damg_rgn_lot"].is_not_null().all()
    assert (sent["damg_rgn_lot"] != sent["acdnt_ocrn_lot"]).all()


def test_the_calls_are_those_of_the_service(files: dict[str, Path]) -> None:
    of = KOREA.model_copy(update={"areas": KOREA.areas.model_copy(update={"provinces": ("52",)})})
    assert set(read(files["calls"])["dclr_rcpt_no"]) == set(simulator.tables(of, *DAYS)["fire_119"]["dclr_rcpt_no"])
