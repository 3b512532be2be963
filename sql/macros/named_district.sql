-- The district of a name without spaces; where districts of several provinces share it, that of the province named too.
create or replace temporary macro named_district(district_name, province_name) as (
    select
        coalesce(
            if(count(*) = 1, min(districts.area_id), null),
            min(districts.area_id) filter (where provinces.name = province_name)
        )
    from reference.areas as districts
    left join reference.areas as provinces on provinces.area_id = districts.parent_area_id
    where districts.hierarchy = 'admin' and districts.area_level = 'district'
        and replace(districts.name, ' ', '') = district_name
)
