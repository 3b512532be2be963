-- Every expectation with counts, never a value. Grain: suite, expectation, checked_column, severity.
with results as (
    select suite, expectation, "column" as checked_column, severity, reason, checked, failed
    from ops.checks
    union all
    select suite, expectation, "column" as checked_column, severity, reason, checked, failed
    from ops.gates
),
added as (
    select
        suite, expectation, checked_column, severity,
        min(reason) as reason,
        sum(checked)::bigint as checked,
        sum(failed)::bigint as failed
    from results
    group by all
)
select
    added.suite, feeds.agency, added.expectation, added.checked_column, added.severity, added.reason, added.checked,
    added.failed
from added
left join reference.feeds as feeds on feeds.feed = added.suite
