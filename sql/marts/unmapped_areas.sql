-- Words and codes of a source for areas that no boundary has: their incidents count in a district only where they have a
-- place. Grain: feed, area_word.
with named as (
    select feed, area_word, incidents from staging.unplaced
    union all
    select feed, named_area_id as area_word, count(*) as incidents
    from staging.incidents
    anti join reference.areas as areas on areas.area_id = incidents.named_area_id
    where named_area_id is not null
    group by feed, named_area_id
)
select feed, area_word, sum(incidents)::bigint as incidents
from named
group by feed, area_word
