"""Files as people have them: read right, or refused or reported by name, whatever a slip has changed in them."""

from pathlib import Path

from tests.mutations.__main__ import summary
from tests.mutations.breaking import BREAKING
from tests.mutations.keeping import KEEPING
from tests.mutations.outcomes import FAULTS, SAME, outcomes
from tests.mutations.tables import made_up


def test_a_mutated_file_is_read_with_the_same_totals_or_refused_or_reported_by_name(tmp_path: Path) -> None:
    results = list(outcomes(made_up(), 2 * len({**KEEPING, **BREAKING}), 3, tmp_path))
    assert not [outcome for outcome in results if outcome.result in FAULTS], summary(results)
    kept = [outcome.result == SAME for outcome in results if outcome.mutation in KEEPING]
    assert sum(kept) >= 0.95 * len(kept), summary(results)
