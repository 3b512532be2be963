-- When 119 calls that were told more than once were first known, by any of their rows. Grain: incident_id.
with
known as (
    select
        dclr_rcpt_no,
        timezone(
            getvariable('time_zone'), coalesce(try_strptime(chg_dt, '%Y%m%d%H%M%S'), try_strptime(dclr_dt, '%Y%m%d%H%M%S'))
        ) + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_119')) as known_at
    from raw.fire_119
    where known_at <= getvariable('as_of')
)
select 'fire_119:' || dclr_rcpt_no as incident_id, min(known_at) as first_known_at
from known
group by dclr_rcpt_no
having count(*) > 1
