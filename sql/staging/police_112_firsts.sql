-- When 112 calls that were told more than once were first known. Grain: incident_id.
with
known as (
    select
        incident_no,
        coalesce(try_cast(updated_at as timestamptz), try_cast(reported_at as timestamptz))
            + to_seconds((select delay_seconds from reference.feeds where feed = 'police_112')) as known_at
    from raw.police_112
    where known_at <= getvariable('as_of')
)
select 'police_112:' || incident_no as incident_id, min(known_at) as first_known_at
from known
group by incident_no
having count(*) > 1
