-- In which areas of a hierarchy a call counts, below the nation: in the one that it names or is in and in every one above
-- that; without a place in the hierarchy, in those that hold every place ever recorded in its district.
-- area_id is an area of the hierarchy, or the district of a call without a place in it. Grain: hierarchy, area_id, in_area_id.
with recursive counting as (
    select hierarchy, area_id, area_id as in_area_id, parent_area_id as above_id
    from reference.areas
    where area_level <> 'nation'
    union all
    select counting.hierarchy, counting.area_id, areas.area_id, areas.parent_area_id
    from counting
    join reference.areas as areas on areas.area_id = counting.above_id
    where areas.area_level <> 'nation'
),
seen as (
    select distinct admin_area_id, police_area_id as area_id, 'police' as hierarchy from reference.places
    union
    select distinct admin_area_id, fire_area_id, 'fire' from reference.places
),
leaves as (
    select admin_area_id, hierarchy, area_id, count(*) over (partition by admin_area_id, hierarchy) as areas from seen
),
serving as (
    select leaves.admin_area_id, leaves.hierarchy, counting.in_area_id
    from leaves
    join counting on counting.area_id = leaves.area_id and counting.hierarchy = leaves.hierarchy
    where leaves.admin_area_id is not null
    group by leaves.admin_area_id, leaves.hierarchy, counting.in_area_id
    having count(*) = max(leaves.areas)
)
select hierarchy, area_id, in_area_id from counting
union all
select hierarchy, admin_area_id as area_id, in_area_id from serving
