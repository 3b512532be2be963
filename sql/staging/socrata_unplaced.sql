-- Words for a record's area that no boundary has, by code or by name, with how many records have them. Grain: feed, area_word.
select 'socrata' as feed, area_text as area_word, count(distinct source_id) as incidents
from staging."socrata_rows"
where is_newest and not is_excluded and named_area_id is null and area_text is not null
group by area_text
