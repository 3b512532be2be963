"""An audience gets the tables, rows and columns that the dictionary lists for it, and no others."""

import pytest

from pipelines.release import audiences
from pipelines.release import dictionary as described
from pipelines.release.audiences import AudienceError
from pipelines.schema import dictionary


def test_a_hidden_column_is_in_no_selection_and_no_description_of_its_audience() -> None:
    (entry,) = [entry for entry in audiences.tables_of("police") if entry.name == "staffing"]
    assert "baseline_calls" not in entry.select and "expected_calls" in entry.select
    assert "baseline_calls" not in described.markdown("police", {entry.name: entry.table}, "Seoul", "")
    assert "baseline_calls" in dictionary.load().published("dispatch")["staffing"].columns


def test_an_audience_without_tables_is_rejected() -> None:
    with pytest.raises(AudienceError, match="'press' gets no table"):
        audiences.check(["public", "press"])


def test_the_notice_leads_every_table_comment() -> None:
    table = dictionary.load().tables["views.hot_spots"]
    assert described.comments(table, "모의자료 SIMULATED")[0].startswith("모의자료 SIMULATED. Gi*")
    assert described.comments(table, "")[0].startswith("Gi*")
