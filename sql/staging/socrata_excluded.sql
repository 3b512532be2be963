-- Records that the profile declares to be no incidents, such as test calls: counted, and left out of everything else.
-- Grain: feed, source_category.
select 'socrata' as feed, source_category, count(distinct source_id) as incidents
from staging."socrata_rows"
where is_newest and is_excluded
group by source_category
