-- Source categories of every row and version of the records of a Socrata table that have several. Grain: incident_id, source_category.
select distinct 'socrata:' || source_id as incident_id, 'socrata' as feed, source_category
from (select *, count(*) over (partition by source_id) as row_count from staging."socrata_rows" where not is_excluded)
where row_count > 1
