"""The drop folder of the simulated investigation agency: each day a CP949 file, its manifest and a signature.

`cases_YYYYMMDD.csv` contains the changes of a day; `cases_YYYYMMDD.manifest.json` lists the day's files with row counts
and SHA-256; `cases_YYYYMMDD.manifest.sig` is the base64 of the Ed25519 signature of the manifest's exact bytes.
"""

import base64
import hashlib
from datetime import date, timedelta
from pathlib import Path

import orjson
import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipelines.config.profile import Profile
from pipelines.simulator import cases
from pipelines.simulator.agencies import settings

AGENCY = "investigation"


def drop(profile: Profile, folder: Path, start: date, end: date) -> list[Path]:
    """Write the agency's daily files of the local days [start, end) and return the paths of the data files.

    Writing them again gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    signer = _signer(settings(profile)[0])
    changes = cases.versions(profile, start - timedelta(days=cases.LONGEST_CHANGE_DAYS), end)
    written = []
    for ordinal in range(start.toordinal(), end.toordinal()):
        day = date.fromordinal(ordinal)
        rows = cases.of_day(changes, day, profile.time_zone)
        path = folder / f"cases_{day:%Y%m%d}.csv"
        content = rows.write_csv(line_terminator="\r\n").encode("cp949")
        manifest = _manifest(path.name, day, rows, content)
        signature = base64.b64encode(signer.sign(manifest))
        for name, part in ((path.name, content), (f"{path.stem}.manifest.json", manifest)):
            _place(folder / name, part)
        # The signature is written last, so that the other files exist when it appears.
        _place(folder / f"{path.stem}.manifest.sig", signature)
        written.append(path)
    return written


def public_key(seed: int) -> str:
    """Return the base64 of the raw Ed25519 key that verifies the simulated agency's manifests."""
    return base64.b64encode(_signer(seed).public_key().public_bytes_raw()).decode()


def _signer(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"bongsu simulated agency {seed}".encode()).digest())


def _manifest(name: str, day: date, rows: pl.DataFrame, content: bytes) -> bytes:
    file = {"name": name, "rows": rows.height, "sha256": hashlib.sha256(content).hexdigest()}
    return orjson.dumps({"agency": AGENCY, "date": day.isoformat(), "files": [file]})


def _place(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".part")
    aside.write_bytes(content)
    aside.replace(path)
