-- Source categories that no profile maps; their incidents count as 'other'. Grain: feed, source_category.
select incidents.feed, incidents.source_category, count(*) as incidents
from core.incidents
left join reference.category_map
    on category_map.feed = incidents.feed and category_map.source_category = incidents.source_category
where category_map.category is null
group by all
