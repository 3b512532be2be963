-- The region: all that the profile covers, its one province or the nation. Grain: area_id.
select
    if(
        count(*) filter (area_level = 'province') = 1,
        max(area_id) filter (area_level = 'province'),
        max(area_id) filter (area_level = 'nation')
    ) as area_id
from reference.areas
where hierarchy = 'admin'
