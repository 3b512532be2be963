-- Share of a month's records that were changed within some days of their report: how provisional young records are. Grain: feed, month_start_date, changed, within_days.
-- In whole hundredths, and only where a hundred records were received and five of them changed: else a share would disclose
-- single ones. A row that is missing in a month that has others says: fewer than five.
select feed, agency, month_start_date, changed, within_days, round(changed_incidents / incidents, 2) as changed_share
from marts.revision_rates
where incidents >= 100 and changed_incidents >= 5
