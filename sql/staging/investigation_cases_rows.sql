-- Every version of every case that was known at as_of. Grain: source_id, known_at, _row_hash.
--
-- The place is withheld: only the province is known. reported_at is the local midnight of the day of receipt; when the
-- offence happened is not known, and neither is how it was noticed (is_discovered is null: such cases never enter risk).
-- A case is closed when it was first closed (종결).
with
versions as (
    select
        *,
        coalesce(
            local_instant("변경일시", '%Y-%m-%d %H:%M:%S'), local_instant("접수일", '%Y-%m-%d')
        ) as changed_at,
        changed_at + declared_delay('investigation_cases') as known_at
    from raw.investigation_cases
    where known_at <= getvariable('as_of')
)
select
    "사건번호" as source_id,
    'investigation' as agency,
    'investigation' as service,
    clean_text("범죄분류") as source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    local_instant("접수일", '%Y-%m-%d') as reported_at,
    null::timestamptz as first_dispatched_at,
    null::timestamptz as first_arrived_at,
    min(changed_at) filter (where "진행상태" = '종결') over (partition by "사건번호") as closed_at,
    null::double as lon,
    null::double as lat,
    'withheld' as location_quality,
    'unknown' as location_source,
    "시도코드" as named_area_id,
    null::boolean as is_discovered,
    "삭제여부" = 'Y' as is_withdrawn,
    false as is_excluded,
    known_at,
    row_number() over (partition by "사건번호" order by known_at desc, _row_hash desc) = 1 as is_newest,
    _row_hash
from versions
