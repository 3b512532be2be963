"""Cases of the simulated investigation agency: a daily CP949 file of changes, by category and province, place withheld.

A case appears on the day it is received, again when its status changes, and for 3 % when it is reclassified; 0.5 %
are withdrawn. Volumes are an assumption; the real agency has published none yet.
"""

from datetime import date

import numpy as np
import polars as pl

from pipelines.profile import Profile
from pipelines.simulator import events, rates
from pipelines.simulator.clock import lognormal, midnight, written
from pipelines.simulator.events import U
from pipelines.simulator.seeds import Flags, Integers, again, draw

RECLASSIFIED = 0.03
WITHDRAWN = 0.005
LONGEST_CHANGE_DAYS = 240
COLUMNS = ("사건번호", "접수일", "범죄분류", "시도코드", "시도명", "진행상태", "삭제여부", "변경일시")
FORM = "%Y-%m-%d %H:%M:%S"
WEEKEND = 0.15
"""Weekend receipts against a weekday's: offices are closed."""


def versions(profile: Profile, first: date, last: date) -> pl.DataFrame:
    """Every version of the cases received on the local days [first, last), with ``_updated`` to cut days by."""
    seed, scale = events.settings(profile)
    table = rates.table("cases")
    days = range(first.toordinal(), last.toordinal())
    provinces = profile.areas.provinces
    week = np.array([1.0] * 5 + [WEEKEND] * 2)[[(day - 1) % 7 for day in days]] / (5 + 2 * WEEKEND) * 7
    yearly = np.tile(table["cases_per_year"].to_numpy(), len(provinces)) * scale
    drawn = draw(seed, "cases", days, week[:, None] * yearly / rates.DAYS_OF_YEAR, len(U))
    province, word = np.divmod(np.arange(len(yearly)), table.height)
    start = events.midnights(profile, drawn.day)
    received = start + 9 * 3600 + (drawn.u[:, U.SECOND] * 9 * 3600).astype(np.int64)
    order = np.lexsort((drawn.u[:, U.CODE], received))
    u, kind, received, day = drawn.u[order], drawn.kind[order], received[order], drawn.day[order]
    number = np.arange(len(day)) - np.searchsorted(day, day, side="left") + 1
    opened = received + lognormal(6.0 * 86_400, 0.8, u[:, U.PROCESSING]).astype(np.int64)
    ended = opened + np.minimum(lognormal(60.0 * 86_400, 0.7, u[:, U.SCENE]), 200 * 86_400).astype(np.int64)
    later = received + 86_400 + (u[:, U.CHANGE_DAYS] * 29 * 86_400).astype(np.int64)
    everyone = np.ones(len(day), bool)
    changed, withdrawn = u[:, U.CHANGE] < RECLASSIFIED, u[:, U.CHANGE] > 1 - WITHDRAWN
    words = table["category"].to_numpy()
    other = words[(word[kind] + 1 + (again(u[:, U.CHANGE], 1) * (table.height - 1)).astype(np.int64)) % table.height]
    known = np.where(changed, other, words[word[kind]])

    def version(mask: Flags, at: Integers, status: str = "") -> pl.DataFrame:
        # A version shows category and status as known at its own instant.
        state = np.select([at >= ended, at >= opened], ["종결", "수사중"], "접수")
        category = np.where(at >= later, known, words[word[kind]])
        run = pl.Series(number).cast(pl.String).str.zfill(4)
        code = pl.Series(np.array(provinces)[province[kind]])
        day_text = written("day", received, profile.time_zone, "%Y%m%d")
        return pl.DataFrame(
            [
                pl.select(x=pl.concat_str(pl.lit("수사"), code, pl.lit("-"), day_text, pl.lit("-"), run))["x"].alias(
                    "사건번호"
                ),
                written("접수일", received, profile.time_zone, "%Y-%m-%d"),
                pl.Series("범죄분류", category, pl.String),
                code.alias("시도코드"),
                pl.Series("시도명", [profile.areas.region]).new_from_index(0, len(day)),
                pl.Series("진행상태", np.where(status == "", state, status), pl.String),
                pl.Series("삭제여부", ["Y" if status == "취소" else "N"]).new_from_index(0, len(day)),
                written("변경일시", at, profile.time_zone, FORM),
                pl.Series("_updated", at, pl.Int64),
            ]
        ).filter(pl.Series(mask))

    stays = ~withdrawn
    return pl.concat(
        [
            version(everyone, received + 600),
            version(stays, opened),
            version(stays, ended),
            version(changed & stays, later),
            version(withdrawn, later, "취소"),
        ]
    ).sort("_updated", "사건번호")


def daily_file(changes: pl.DataFrame, day: date, zone: str) -> bytes:
    """The CP949 file of one local day: its changes, or the header alone."""
    start, end = midnight(day, zone), midnight(date.fromordinal(day.toordinal() + 1), zone)
    rows = changes.filter(pl.col("_updated").is_between(start, end, closed="left")).select(COLUMNS)
    return rows.write_csv(line_terminator="\r\n").encode("cp949")
