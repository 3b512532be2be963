-- Single points with many records of a feed, probably the default of a geocoder and not where it happened: at least 30
-- records, a tenth of those with a point, and ten times as many as the feed's points usually have (the median), so that a
-- source which knows few points has no pile. Points that stand for an area (location_quality centroid) are left out, as
-- are those that the profile confirms. Reported crime there enters neither patterns nor risk. Grain: feed, lon, lat.
with counted as (
    select feed, lon, lat, count(*) as incidents
    from staging.incidents
    where lon is not null and lat is not null and location_quality in ('exact', 'snapped')
    group by feed, lon, lat
),
compared as (
    select
        *,
        incidents / sum(incidents) over (partition by feed) as placed_share,
        median(incidents) over (partition by feed) as usual_incidents
    from counted
)
select compared.* exclude (usual_incidents)
from compared
anti join reference.confirmed_points as confirmed
    on confirmed.feed = compared.feed
    and round(confirmed.lon, 5) = round(compared.lon, 5)
    and round(confirmed.lat, 5) = round(compared.lat, 5)
where incidents >= 30 and placed_share >= 0.1 and incidents >= 10 * usual_incidents
