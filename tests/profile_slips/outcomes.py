"""What `bongsu check-profile` makes of a profile with a slip."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.config.errors import BongsuError
from pipelines.steps.check_profile import check_profile
from tests.profile_slips.slips import Slip

NAMED, VAGUE, ACCEPTED, TRACEBACK, SLOW = "named", "vague", "accepted", "traceback", "slow"
LONGEST_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one slip; ``named`` means that the message has its field and its line."""

    slip: Slip
    result: str
    message: str


def outcomes(slips: Iterable[Slip], folder: Path) -> Iterator[Outcome]:
    """Check every profile as the command does."""
    for slip in slips:
        path = folder / "place.toml"
        path.write_text(slip.text, "utf-8")
        begin = time.monotonic()
        result, message = _checked(slip, path)
        yield Outcome(slip, SLOW if time.monotonic() - begin > LONGEST_SECONDS else result, message)


def _checked(slip: Slip, path: Path) -> tuple[str, str]:
    try:
        check_profile(path)
    except BongsuError as error:
        rows = [line for line in str(error).splitlines() if any(f"{path}:{number}: " in line for number in slip.lines)]
        return (NAMED if any(slip.field in row for row in rows) else VAGUE), str(error)
    except Exception as error:
        return TRACEBACK, repr(error)
    return ACCEPTED, ""
