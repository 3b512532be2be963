"""The three agencies in small: a dozen clean records each, and valid answers or drops of any records."""

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipelines.config import profile as profiles
from pipelines.config.profile import Profile
from pipelines.feeds import fire_119, investigation_cases, police_112
from pipelines.feeds.feed import Feed
from tests.faults.server import Answer, Question

Row = dict[str, Any]
Rows = list[Row]
Files = dict[str, bytes]

KEY = "a-key-that-must-never-show"
SIGNER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"the agency of the fault matrix").digest())
STRANGER = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"somebody else").digest())
FIRST = date(2025, 10, 28)
"""The first day with files in the drop folder."""

DAYS = (date(2025, 11, 2), date(2025, 11, 3))
"""The local days on which the clean records changed; every run reads them again."""

AS_OF = datetime.fromisoformat("2025-11-04T05:15:00+09:00")
ROWS = 12
PAGE = 5


@dataclass(frozen=True)
class Agency:
    """One agency: its feed, the names of its columns by content, and its clean records."""

    name: str
    feed: Feed
    id: str
    category: str
    updated: str
    reported: str
    withdrawn: str
    lon: str
    lat: str
    gone: object
    record: Callable[[int, date], Row]

    @property
    def clean(self) -> Rows:
        """A dozen records, half of them changed on each of the two days."""
        return [self.full(self.record(number, DAYS[number >= ROWS // 2])) for number in range(ROWS)]

    def full(self, row: Row) -> Row:
        """Return a record with every declared column; missing values are null."""
        return dict.fromkeys(self.feed.columns) | row


def _call(number: int, day: date) -> Row:
    at = f"{day}T{8 + number:02d}"
    return {
        "incident_no": f"{day:%Y%m%d}-{number + 1:06d}",
        "category": ["절도", "폭력", "사기", "소음"][number % 4],
        "priority": number % 5,
        "status": "종결",
        "report_channel": "전화",
        "occurred_at": f"{at}:00:00+09:00",
        "reported_at": f"{at}:05:00+09:00",
        "dispatched_at": f"{at}:06:00+09:00",
        "arrived_at": f"{at}:12:00+09:00",
        "closed_at": f"{at}:40:00+09:00",
        "lon": 126.97 + number / 1000,
        "lat": 37.56 + number / 1000,
        "location_method": "주소",
        "district_code": "11110",
        "station_name": "종로경찰서",
        "is_withdrawn": False,
        "updated_at": f"{at}:40:00+09:00",
    }


def _unit(number: int, day: date) -> Row:
    at = f"{day:%Y%m%d}{8 + number:02d}"
    return {
        "dclr_rcpt_no": f"119{day:%Y%m%d}{number + 1:06d}",
        "vhcl_no": f"종로구급차{number % 3 + 1}",
        "vhcl_se_nm": "구급차",
        "dclr_dt": f"{at}0500",
        "rcpt_path_nm": "이동전화",
        "emrg_rscu_clsf_nm": "구급  ",
        "prcs_rslt_se_nm": "출동",
        "dspt_drtv_dt": f"{at}0600",
        "dspt_dt": f"{at}0700",
        "grnds_arvl_dt": f"{at}1200",
        "cbk_dt": f"{at}4000",
        "cmptnc_frstn_nm": "종로소방서",
        "clmty_ctpv_nm": "서울특별시",
        "clmty_sgg_nm": "종로구",
        "clmty_sgg_cd": "11110",
        "damg_rgn_lot": f"{126.97 + number / 1000:.4f}",
        "damg_rgn_lat": f"{37.56 + number / 1000:.4f}",
        "jnt_crsp_yn": "N",
        "del_yn": "N",
        "chg_dt": f"{at}4000",
    }


def _case(number: int, day: date) -> Row:
    return {
        "사건번호": f"수사11-{day:%Y%m%d}-{number + 1:04d}",
        "접수일": f"{day}",
        "범죄분류": ["경제", "부패", "사이버", "기타"][number % 4],
        "시도코드": "11",
        "시도명": "서울특별시",
        "진행상태": "접수",
        "삭제여부": "N",
        "변경일시": f"{day} {8 + number:02d}:40:00",
    }


POLICE = Agency(
    "police",
    police_112.FEED,
    "incident_no",
    "category",
    "updated_at",
    "reported_at",
    "is_withdrawn",
    "lon",
    "lat",
    True,
    _call,
)
FIRE = Agency(
    "fire",
    fire_119.FEED,
    "dclr_rcpt_no",
    "emrg_rscu_clsf_nm",
    "chg_dt",
    "dclr_dt",
    "del_yn",
    "damg_rgn_lot",
    "damg_rgn_lat",
    "Y",
    _unit,
)
INVESTIGATION = Agency(
    "investigation",
    investigation_cases.FEED,
    "사건번호",
    "범죄분류",
    "변경일시",
    "접수일",
    "삭제여부",
    "시도코드",
    "시도명",
    "Y",
    _case,
)
AGENCIES = {agency.name: agency for agency in (POLICE, FIRE, INVESTIGATION)}


@cache
def profile() -> Profile:
    """The Korean profile with small pages, two days of history and the test agency's public key."""
    korea = profiles.load("korea")
    small = {"page_size": PAGE, "lag_hours": 96.0, "window_days": 30, "freshness_hours": 48.0}
    key = base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode()
    entries = {
        agency.feed.name: korea.feeds[agency.feed.name].model_copy(
            update=small | ({"public_key": key} if agency is INVESTIGATION else {})
        )
        for agency in AGENCIES.values()
    }
    assert korea.simulator is not None
    simulator = korea.simulator.model_copy(update={"history_days": 5})
    return korea.model_copy(update={"feeds": dict(korea.feeds) | entries, "simulator": simulator})


def police_answer(rows: Rows, question: Question, body: Callable[[bytes], bytes]) -> Answer:
    """Return a page of the export of changes."""
    if question.headers.get("x-api-key") != KEY:
        return Answer(b'{"error":"unknown key"}', 401)
    start, end = (datetime.fromisoformat(question.query[name]) for name in ("updated_from", "updated_to"))
    sent_records = [row for row in rows if _inside(str(row.get("updated_at")), "%Y-%m-%dT%H:%M:%S%z", start, end)]
    page, size = int(question.query["page"]), int(question.query["page_size"])
    content = {
        "page": page,
        "pages": max(1, -(-len(sent_records) // size)),
        "total": len(sent_records),
        "incidents": sent_records[(page - 1) * size : page * size],
    }
    return Answer(body(written(content)))


def fire_answer(rows: Rows, question: Question, body: Callable[[bytes], bytes]) -> Answer:
    """Return a page in the portal's convention."""
    if question.query.get("serviceKey") != KEY:
        return portal_error("SERVICE_KEY_IS_NOT_REGISTERED_ERROR", 30)
    zone = AS_OF.tzinfo
    start, end = (
        datetime.strptime(question.query[name], "%Y%m%d%H%M%S").replace(tzinfo=zone)
        for name in ("chgDtFrom", "chgDtTo")
    )
    sent_records = [row for row in rows if _inside(str(row.get("chg_dt")), "%Y%m%d%H%M%S", start, end)]
    page, size = int(question.query["pageNo"]), int(question.query["numOfRows"])
    items = sent_records[(page - 1) * size : page * size]
    content = {
        "response": {
            "header": {"resultCode": "00", "resultMsg": "NORMAL SERVICE"},
            "body": {
                "pageNo": page,
                "numOfRows": size,
                "totalCount": len(sent_records),
                "items": {"item": items} if items else "",
            },
        }
    }
    return Answer(body(written(content)))


def written(content: Row) -> bytes:
    """Return a page as JSON."""
    return orjson.dumps(content)


def portal_error(message: str, code: int) -> Answer:
    """Return an error as the portal sends it: XML with status 200."""
    return Answer(
        (
            "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>"
            f"<returnAuthMsg>{message}</returnAuthMsg><returnReasonCode>{code}</returnReasonCode>"
            "</cmmMsgHeader></OpenAPI_ServiceResponse>"
        ).encode(),
        kind="text/xml",
    )


def _inside(text: str, form: str, start: datetime, end: datetime) -> bool:
    """Return whether a record changed inside a window; one with an invalid update time is sent with every window."""
    try:
        at = datetime.strptime(text, form)
    except ValueError:
        return True
    if not FIRST <= at.date() <= AS_OF.date() + timedelta(days=3):
        return True
    return start <= (at if at.tzinfo else at.replace(tzinfo=AS_OF.tzinfo)) < end


def drop(
    rows: Rows,
    until: date,
    body: Callable[[bytes], bytes] = lambda content: content,
    signer: Ed25519PrivateKey = SIGNER,
    manifest: Callable[[Row], Row] = lambda content: content,
) -> Files:
    """Return the files of every day from the first to ``until``: the day's changes, its manifest and its signature."""
    files: Files = {}
    known = [str(day) for day in _days(until)]
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(INVESTIGATION.feed.columns)
    for day in _days(until):
        days_rows = [
            row
            for row in rows
            if (str(row.get("변경일시") or "")[:10] == str(day))
            or (day == DAYS[-1] and str(row.get("변경일시") or "")[:10] not in known)
        ]
        files |= signed(day, body(sheet(days_rows, names)), len(days_rows), signer, manifest)
    return files


def signed(
    day: date,
    content: bytes,
    rows: int,
    signer: Ed25519PrivateKey = SIGNER,
    manifest: Callable[[Row], Row] = lambda content: content,
) -> Files:
    """Return one day's file with its manifest and signature."""
    name = f"cases_{day:%Y%m%d}"
    listed = {"name": f"{name}.csv", "rows": rows, "sha256": hashlib.sha256(content).hexdigest()}
    stated = orjson.dumps(manifest({"agency": "investigation", "date": str(day), "files": [listed]}))
    return {
        f"{name}.csv": content,
        f"{name}.manifest.json": stated,
        f"{name}.manifest.sig": base64.b64encode(signer.sign(stated)),
    }


def sheet(rows: Rows, names: Sequence[str]) -> bytes:
    """Return a CP949 CSV of some records; only the header without any."""
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("cp949")


def _days(until: date) -> list[date]:
    return [FIRST + timedelta(days=n) for n in range((until - FIRST).days + 1)]


ANSWERS: Mapping[str, Callable[[Rows, Question, Callable[[bytes], bytes]], Answer]] = {
    "police": police_answer,
    "fire": fire_answer,
}
