-- Single points with many records of a feed, probably the default of a geocoder and not where it happened: at least 30
-- records and a tenth of those with a point. Points that stand for an area (location_quality centroid) are left out.
-- Grain: feed, lon, lat.
with counted as (
    select feed, lon, lat, count(*) as incidents
    from core.incidents
    where lon is not null and lat is not null and location_quality <> 'centroid'
    group by feed, lon, lat
),
compared as (
    select *, incidents / sum(incidents) over (partition by feed) as placed_share from counted
)
select feed, lon, lat, incidents, placed_share from compared where incidents >= 30 and placed_share >= 0.1
