-- What became of every row delivered, and how many of those kept out were let in by later retries. Grain: feed.
with added as (
    -- A retry receives rows that their delivery has already accounted for: they are not counted a second time.
    select
        feed,
        count(*) as batches,
        coalesce(sum(received) filter (batch_type = 'delivery'), 0)::bigint as received,
        coalesce(sum(loaded) filter (batch_type = 'delivery'), 0)::bigint as loaded,
        coalesce(sum(unchanged) filter (batch_type = 'delivery'), 0)::bigint as unchanged,
        coalesce(sum(quarantined) filter (batch_type = 'delivery'), 0)::bigint as quarantined,
        coalesce(sum(rejected) filter (batch_type = 'delivery'), 0)::bigint as rejected,
        coalesce(sum(loaded + unchanged) filter (batch_type <> 'delivery'), 0)::bigint as released
    from ops.batches
    group by feed
)
select
    added.feed, feeds.agency, added.batches, added.received, added.loaded, added.unchanged, added.quarantined,
    added.rejected, added.released
from added
left join reference.feeds as feeds on feeds.feed = added.feed
