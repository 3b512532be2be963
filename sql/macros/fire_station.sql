-- The area of the fire station of a name; the first one where several share it.
create or replace temporary macro fire_station(station_name) as (
    select min(area_id) from reference.areas where hierarchy = 'fire' and area_level = 'station' and name = station_name
)
