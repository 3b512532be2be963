-- Whether a point is in the box that the profile gives for the country; without a box, any point is.
create or replace temporary macro in_country(lon, lat) as
    coalesce(
        lon between getvariable('west') and getvariable('east')
        and lat between getvariable('south') and getvariable('north'),
        lon is not null and lat is not null
    )
