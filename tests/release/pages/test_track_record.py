"""The page's accuracy of past forecasts."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import duckdb

from pipelines.release.pages import track_record


def test_each_model_of_a_forecast_is_named_once() -> None:
    con = duckdb.connect()
    con.execute(
        """
        create table forecast_scores as
        select $1::timestamptz as reference_at, 'backtest' as origin_kind, 'D' as frequency, 'ems' as service,
            'calls' as measure, area_level, model, is_baseline, 100 as targets, 8 as origins, loss as scaled_pinball,
            0.8 as coverage_80, 0.81 as expected_coverage_80
        from (values
            ('district', 'combination', false, 0.9), ('district', 'day_of_week', false, 0.9),
            ('region', 'combination', false, 0.9), ('region', 'sum_of_parts', false, 0.9),
            ('region', 'day_of_week', true, 1.0), ('region', 'seasonal_naive', true, 1.2)
        ) as scores (area_level, model, is_baseline, loss)
        """,
        [datetime(2026, 12, 1, tzinfo=UTC)],
    )
    page: Any = SimpleNamespace(
        has=lambda _table: True, frame=lambda query: con.execute(query).pl(), label=lambda name: {"name": name}
    )
    (row,) = track_record.scores(page)
    assert row["model"] == "combination, day_of_week, sum_of_parts"
    assert round(row["levels"]["region"]["gain"], 3) == 0.1
