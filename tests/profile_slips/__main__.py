"""Check random profiles with one slip each, and print how many messages name the field and the line.

    python -m tests.profile_slips [--count N] [--seed N]

Exit code 1 on a traceback, a slip that is accepted or takes long, or where fewer than 95 % of the messages name both.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.profile_slips.outcomes import ACCEPTED, NAMED, SLOW, TRACEBACK, VAGUE, Outcome, outcomes
from tests.profile_slips.slips import drawn

SHOWN = (NAMED, VAGUE, ACCEPTED, TRACEBACK, SLOW)
FEWEST_NAMED = 0.95


def main() -> None:
    """Run, print a table of slips by outcome, and what is not named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = list(outcomes(drawn(options.count, options.seed), Path(folder)))
    print(summary(results))
    sys.exit(not kept(results))


def kept(results: Sequence[Outcome]) -> bool:
    """Whether the promise holds."""
    counts = Counter(outcome.result for outcome in results)
    is_refused = not any(counts[result] for result in (ACCEPTED, TRACEBACK, SLOW))
    return is_refused and counts[NAMED] >= FEWEST_NAMED * len(results)


def summary(results: Sequence[Outcome]) -> str:
    """A table of slips by outcome, and every message that does not name the field and the line."""
    counts = Counter((outcome.slip.name, outcome.result) for outcome in results)
    lines = [f"{'slip':30}" + "".join(f"{result:>11}" for result in SHOWN)]
    names = sorted({outcome.slip.name for outcome in results})
    lines += [f"{name:30}" + "".join(f"{counts[name, result]:11}" for result in SHOWN) for name in names]
    lines.append(f"{'all':30}" + "".join(f"{sum(o.result == result for o in results):11}" for result in SHOWN))
    wrong = [outcome for outcome in results if outcome.result != NAMED]
    lines += [f"{o.result}: {o.slip.name} of {o.slip.field}, line {o.slip.lines}: {o.message[:300]}" for o in wrong]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
