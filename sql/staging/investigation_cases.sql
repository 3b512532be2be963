-- Cases of the investigation agency, each in the latest version that was known at as_of; withdrawn ones left out. Grain: incident_id.
--
-- The place is withheld: only the province is known. reported_at is the local midnight of the day of receipt; when an
-- offence happened is not told, and how it came to notice neither (is_discovered is null: such cases never enter risk).
with
versions as (
    select
        *,
        timezone(
            getvariable('time_zone'),
            coalesce(try_strptime("변경일시", '%Y-%m-%d %H:%M:%S'), try_strptime("접수일", '%Y-%m-%d'))
        ) as changed_at
    from raw.investigation_cases
),
known as (
    select
        *,
        changed_at + to_seconds((select delay_seconds from reference.feeds where feed = 'investigation_cases')) as known_at
    from versions
),
newest as (
    select
        *,
        min(changed_at) filter (where "진행상태" = '종결') over (partition by "사건번호") as closed_at
    from known
    where known_at <= getvariable('as_of')
    qualify row_number() over (partition by "사건번호" order by known_at desc, _row_hash desc) = 1
)
select
    'investigation_cases:' || "사건번호" as incident_id,
    'investigation' as agency,
    'investigation_cases' as feed,
    "사건번호" as source_id,
    'investigation' as service,
    -- As one sees it: Hangul composed (NFC), no zero-width or wide spaces around.
    trim(replace(nfc_normalize("범죄분류"), chr(8203), ''), ' ' || chr(12288)) as source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    null::timestamptz as occurred_until,
    timezone(getvariable('time_zone'), try_strptime("접수일", '%Y-%m-%d')) as reported_at,
    null::timestamptz as first_dispatched_at,
    null::timestamptz as first_arrived_at,
    closed_at,
    null::double as lon,
    null::double as lat,
    'withheld' as location_quality,
    'unknown' as location_source,
    "시도코드" as named_area_id,
    null::boolean as is_discovered,
    known_at
from newest
where "삭제여부" <> 'Y'
