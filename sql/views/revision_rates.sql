-- Share of a month's records that were changed within some days of their report: how provisional young records are. Grain: feed, month_start_date, changed, within_days.
-- Of fewer than a hundred records a share would tell of single ones.
select feed, agency, month_start_date, changed, within_days, round(changed_incidents / incidents, 3) as changed_share
from marts.revision_rates
where incidents >= 100
