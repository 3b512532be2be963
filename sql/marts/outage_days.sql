-- Local days of which a feed has no records, or not all, because of an outage: a sum over them is lower than what happened.
-- Grain: feed, local_date.
select distinct
    feed,
    unnest(
        generate_series(
            date_trunc('day', timezone(getvariable('time_zone'), from_at)),
            timezone(getvariable('time_zone'), until_at) - interval 1 microsecond,
            interval 1 day
        )
    )::date as local_date
from marts.observation_windows
where observation_state = 'outage' and service is null and category is null and area_id is null
