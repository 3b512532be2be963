-- Source categories that the profile declares to be no incidents, with how many records they keep out. Grain: feed, source_category.
select feed, source_category, incidents
from staging.excluded
