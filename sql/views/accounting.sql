-- What became of every row received. Grain: feed.
with added as (
    select
        feed,
        count(*) as batches,
        sum(received)::bigint as received,
        sum(loaded)::bigint as loaded,
        sum(unchanged)::bigint as unchanged,
        sum(quarantined)::bigint as quarantined,
        sum(rejected)::bigint as rejected
    from ops.batches
    group by feed
)
select
    added.feed, feeds.agency, added.batches, added.received, added.loaded, added.unchanged, added.quarantined, added.rejected
from added
left join reference.feeds as feeds on feeds.feed = added.feed
