"""Mutate real CSV files at random and print what the readers of `predict` and `backtest` make of them.

    python -m tests.mutations [--files FOLDER] [--count N] [--seed N] [--commands N]

``--files`` is the folder of the real files (Portland, Montgomery, Chicago, San Francisco); without it rows that we
wrote are used. ``--commands`` of the mutated files go through `bongsu predict` as a process each. Exit code 1 on any
fault.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutations import commands
from tests.mutations.keeping import KEEPING
from tests.mutations.outcomes import FAULTS, REFUSED, REPORTED, SAME, Outcome, outcomes
from tests.mutations.tables import made_up, real

SHOWN = (SAME, REPORTED, REFUSED, *FAULTS)


def main() -> None:
    """Run, print a table of mutations by outcome, and the faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=Path, help="folder of the real files")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--commands", type=int, default=0, help="how many go through the commands")
    options = parser.parse_args()
    tables = real(options.files) if options.files else made_up()
    with tempfile.TemporaryDirectory() as folder:
        results = list(outcomes(tables, options.count, options.seed, Path(folder)))
        results += commands.outcomes(tables, options.commands, options.seed, Path(folder))
    print(summary(results))
    sys.exit(any(outcome.result in FAULTS for outcome in results))


def summary(results: Sequence[Outcome]) -> str:
    """A table of mutations by outcome, the share of meaning-keeping ones read right, and every fault."""
    counts = Counter((outcome.mutation, outcome.result) for outcome in results)
    names = sorted({outcome.mutation for outcome in results}, key=lambda name: (name not in KEEPING, name))
    lines = [f"{'mutation':32}" + "".join(f"{result:>11}" for result in SHOWN)]
    lines += [f"{name:32}" + "".join(f"{counts[name, result]:11}" for result in SHOWN) for name in names]
    lines.append(f"{'all':32}" + "".join(f"{sum(o.result == result for o in results):11}" for result in SHOWN))
    kept = [outcome.result == SAME for outcome in results if outcome.mutation in KEEPING]
    lines.append(f"meaning kept: {sum(kept)} of {len(kept)} read with identical totals")
    return "\n".join(
        lines + [f"{o.table}: {o.mutation}: {o.result}: {o.message}" for o in results if o.result in FAULTS]
    )


if __name__ == "__main__":
    main()
