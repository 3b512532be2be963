-- Reported crime by risk cell, category and day of the occurrence (else of the report), only what may enter risk, zeros
-- left out. Grain: cell_id, category, occurrence_date.
select cell_id, category, occurrence_date, count(*) as incidents
from marts.crime_points
where superseded_at is null
group by cell_id, category, occurrence_date
