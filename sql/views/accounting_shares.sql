-- Shares of rows held back or refused. Grain: feed.
select
    feed,
    agency,
    round(quarantined / nullif(received, 0), 3) as quarantined_share,
    round(rejected / nullif(received, 0), 3) as rejected_share
from views.accounting
