-- Names of districts that no boundary has, after that of their province, with how many calls have them. Grain: feed, area_word.
--
-- The name in quotes is that of the feed. As in its calls, the first name of a call is that of all its rows.
with named as (
    select
        source_id,
        concat_ws(' ', min(province_name), min(district_name)) as area_word
    from staging."published_file_cleaned"
    where is_current and district_name is not null
    group by source_id
)
select 'published_file' as feed, named.area_word, count(*) as incidents
from named
semi join (select source_id from staging."published_file" where named_area_id is null) as calls
    on calls.source_id = named.source_id
group by named.area_word
