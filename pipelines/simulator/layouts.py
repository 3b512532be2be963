"""The same 119 calls as files, in the layouts that fire headquarters publish: CP949 CSV, with their pitfalls.

Calls in Jeonbuk's layout, ambulance and rescue dispatches in Busan's; the fields and their order are those of the real
files (`fire_layouts.csv`). Fields that are not simulated (weather, patients) are blank. Pitfalls: times of day lose
their leading zeros ('24' is 00:00:24), there is one row per responding unit, two pairs of coordinates differ, both are
blank on most calls for advice, words have trailing spaces, and times are naive Korean time.
"""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.config.profile import Profile
from pipelines.simulator import fire
from pipelines.simulator.events import U
from pipelines.simulator.places import to_degrees
from pipelines.simulator.tables import table

_STAGES = {
    "dclr": "dclr_dt",
    "dspt": "dspt_dt",
    "grnds_arvl": "grnds_arvl_dt",
    "ptn_cntc": "ptn_cntc_dt",
    "grnds_dptre": "grnds_dptre_dt",
    "rscu_cmptn": "grnds_dptre_dt",
    "cbk": "cbk_dt",
}
"""Stage of a dispatch in Busan's files → the instant it is derived from."""
_NEVER = ("centr_rsun_dspt_dmnd_yn", "cllbc_yn", "otr_ctpv_dclr_yn", "otr_ctpv_dspt_yn", "chem_acdnt_yn")
_AWAY_M = 80.0
_SEASONS = {month: ("겨울", "봄", "여름", "가을")[month % 12 // 3] for month in range(1, 13)}
_WEEKDAYS = dict(enumerate("월화수목금토일", 1))


def fire_files(profile: Profile, province: str, folder: Path, start: date, end: date) -> dict[str, Path]:
    """Write the calls and dispatches of a province's local days [start, end), one folder and file per layout.

    Return the paths by layout: ``calls``, ``ems``, ``rescue``.
    """
    records = fire.records(profile, province, start, end)
    rows = _rows(profile, records)
    chosen = {
        "calls": rows,
        "ems": rows.filter(vhcl_se_nm="구급차"),
        "rescue": rows.filter(pl.col("vhcl_se_nm") == "구조공작차", pl.col("word") != "화재"),
    }
    written = {}
    for layout, selected in chosen.items():
        path = folder / layout / f"{start:%Y%m%d}_{end:%Y%m%d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_laid_out(layout, selected).write_csv(line_terminator="\r\n").encode("cp949"))
        written[layout] = path
    return written


def _rows(profile: Profile, records: fire.Records) -> pl.DataFrame:
    """Return one row per call and unit in its final state, with the second pair of coordinates near the first."""
    angle = 2 * np.pi * records.events.u[:, U.LOCATION_Y]
    x, y = (records.events.x + _AWAY_M * np.cos(angle), records.events.y + _AWAY_M * np.sin(angle))
    lon, lat = to_degrees(profile.crs, x, y)
    second = {"acdnt_ocrn_lot": pl.Series(lon).cast(pl.String), "acdnt_ocrn_lat": pl.Series(lat).cast(pl.String)}
    rows = fire.worded(profile, records).with_columns(**second).with_row_index("report")
    places = ("damg_rgn_lot", "damg_rgn_lat", *second)
    return rows.with_columns(pl.when("nowhere").then(pl.lit("")).otherwise(name).alias(name) for name in places)


def _laid_out(layout: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in the fields of a layout, as text."""
    fields = table("fire_layouts").filter(layout=layout)["field"]
    known = _computed(layout) | {
        f"{stage}_{part}": text for stage, source in _STAGES.items() for part, text in _parts(source).items()
    }
    laid_out = rows.select(known.get(name, pl.lit(None, pl.String)).alias(name) for name in fields)
    return laid_out.with_columns(pl.all().replace("", None))


def _computed(layout: str) -> dict[str, pl.Expr]:
    """Return the fields that are not just part of an instant."""
    is_self_harm = pl.col("word") == "자해"
    ended = pl.when("is_sent").then("cbk_dt").otherwise("dclr_dt")
    month = pl.col("dclr_dt").str.slice(4, 2).cast(pl.Int64)
    quiet = pl.col("word").replace_strict(fire.WITHOUT_UNIT, default="취소")
    copied = ("dclr_rcpt_no", "dclr_dt", "rcpt_path_nm", "cmptnc_frstn_nm", "clmty_ctpv_nm", "clmty_sgg_nm")
    times = ("dspt_drtv_dt", "grnds_arvl_dt", "hsptl_arvl_dt", "cbk_dt")
    places = ("damg_rgn_lot", "damg_rgn_lat", "acdnt_ocrn_lot", "acdnt_ocrn_lat")
    return {
        **{name: pl.col(name) for name in (*copied, *times, *places)},
        **dict.fromkeys(("rptp_no", "clmty_rscu_rptp_no"), pl.format(f"{layout.upper()}-{{}}", "report")),
        "seasn_nm": month.replace_strict(_SEASONS),
        "qtr_no": ((month + 2) // 3).cast(pl.String),
        "dclr_dow": pl.col("dclr_dt").str.head(8).str.to_date("%Y%m%d").dt.weekday().replace_strict(_WEEKDAYS),
        "emrg_rscu_clsf_nm": pl.concat_str(pl.when(is_self_harm).then(pl.lit("구급")).otherwise("word"), pl.lit("  ")),
        "emrg_rscu_assrt_nm": pl.when(is_self_harm).then(pl.lit("자해 ")).otherwise(pl.lit("")),
        "ptn_ocrn_type_nm": pl.when(is_self_harm).then(pl.lit("질병외")).otherwise(pl.lit("질병 ")),
        "acdnt_injr_nm": pl.when(is_self_harm).then(pl.lit("자해")).otherwise(pl.lit("")),
        "prcs_rslt_se_nm": pl.when("is_sent").then(pl.lit("출동 ")).otherwise(quiet),
        "jnt_crsp_yn": pl.when("is_joint").then(pl.lit("Y")).otherwise(pl.lit("N")),
        **dict.fromkeys(_NEVER, pl.lit("N")),
        "grnds_ctpv_nm": pl.col("clmty_ctpv_nm"),
        "grnds_sgg_nm": pl.col("clmty_sgg_nm"),
        "frstn_nm": pl.col("cmptnc_frstn_nm"),
        "lfdau_nm": pl.col("vhcl_no"),
        "sittn_end_dt": ended,
        "rcpt_end_dt": pl.col("dclr_dt"),
        "rcpt_end_ymd": pl.col("dclr_dt").str.head(8),
        "rcpt_end_tm": _parts("dclr_dt")["tm"],
    }


def _parts(name: str) -> dict[str, pl.Expr]:
    """Return an instant in the parts that the files contain: without leading zeros, except in the date."""
    pieces = {"yr": (0, 4), "mm": (4, 2), "day": (6, 2), "hr": (8, 2), "mn": (10, 2), "tm": (8, 6)}
    bare = {part: pl.col(name).str.slice(*place).cast(pl.Int64).cast(pl.String) for part, place in pieces.items()}
    return {**bare, "ymd": pl.col(name).str.head(8)}
