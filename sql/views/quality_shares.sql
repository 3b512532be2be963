-- Every expectation with the share of rows that failed. Grain: suite, expectation, checked_column, severity.
select
    suite, agency, expectation, checked_column, severity, reason,
    round(failed / nullif(checked, 0), 3) as failed_share
from views.quality_checks
