-- Minutes of patrol by cell and slot, each in the latest version that was known at as_of. Grain: cell_id, slot_start_at.
with
versions as (
    select
        *,
        try_cast(slot_start as timestamptz) as slot_start_at,
        try_cast(recorded_at as timestamptz)
            + declared_delay('patrols') as known_at
    from raw.patrols
),
newest as (
    select *
    from versions
    where known_at <= getvariable('as_of')
    -- By the instant and not by its text: one slot may come with two offsets.
    qualify row_number() over (partition by cell_id, slot_start_at order by known_at desc, _row_hash desc) = 1
)
select
    cell_id,
    slot_start_at,
    try_cast(slot_end as timestamptz) as slot_end_at,
    try_cast(minutes as double) as patrol_minutes,
    known_at
from newest
