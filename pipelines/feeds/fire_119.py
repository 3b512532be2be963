"""119 calls and dispatches from the fire service, in the convention of data.go.kr.

Grain: one row per version of a call and responding unit; a call without a dispatched unit has one row with an empty
unit. Key: `dclr_rcpt_no, vhcl_no`; the change time `chg_dt` orders the versions. Pitfalls: times are naive Korean time
as 14 digits, some without their leading zeros; text has trailing spaces; coordinates are text, blank on most calls
without a dispatched unit; a withdrawn row has `del_yn` Y. All columns are kept as text and converted in staging.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import polars as pl

from pipelines.feeds.feed import Feed, Request
from pipelines.feeds.protocols import data_go_kr
from pipelines.feeds.protocols.windows import deliveries
from pipelines.schema.delivery import Delivery

OPERATION = "getCallReception"
FORM = "%Y%m%d%H%M%S"


def fetch(request: Request) -> Iterator[Delivery]:
    """Read the changes of the request's window; yield one delivery per chunk of the window."""
    zone = request.profile.zone

    def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
        wanted = {
            "chgDtFrom": start.astimezone(zone).strftime(FORM),
            "chgDtTo": end.astimezone(zone).strftime(FORM),
        }
        return data_go_kr.pages(request, OPERATION, wanted)

    return deliveries(request, read)


def parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Parse the rows of all pages."""
    return data_go_kr.rows(parts)


FEED = Feed(
    name="fire_119",
    agency="fire",
    load_type="keyed",
    columns=dict.fromkeys(
        (
            "dclr_rcpt_no",
            "vhcl_no",
            "vhcl_se_nm",
            "dclr_dt",
            "rcpt_path_nm",
            "emrg_rscu_clsf_nm",
            "prcs_rslt_se_nm",
            "dspt_drtv_dt",
            "dspt_dt",
            "grnds_arvl_dt",
            "ptn_cntc_dt",
            "grnds_dptre_dt",
            "hsptl_arvl_dt",
            "cbk_dt",
            "cmptnc_frstn_nm",
            "clmty_ctpv_nm",
            "clmty_sgg_nm",
            "clmty_sgg_cd",
            "damg_rgn_lot",
            "damg_rgn_lat",
            "jnt_crsp_yn",
            "del_yn",
            "chg_dt",
        ),
        pl.String,
    ),
    fetch=fetch,
    parse=parse,
    key=("dclr_rcpt_no", "vhcl_no"),
    updated_at="chg_dt",
    timestamp_columns=("chg_dt", "dclr_dt"),
    coordinate_columns=("damg_rgn_lot", "damg_rgn_lat"),
)
