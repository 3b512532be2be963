-- What was known at as_of of the cases that were not always told alike: every version of each. Grain: incident_id, known_at.
--
-- Category and withdrawal are watched; the place is withheld, and a case has no priority.
with
known as (
    select
        "사건번호" as case_no,
        trim(replace(nfc_normalize("범죄분류"), chr(8203), ''), ' ' || chr(12288)) as source_category,
        "삭제여부" = 'Y' as is_withdrawn,
        timezone(getvariable('time_zone'), try_strptime("접수일", '%Y-%m-%d')) as reported_at,
        _row_hash,
        timezone(
            getvariable('time_zone'),
            coalesce(try_strptime("변경일시", '%Y-%m-%d %H:%M:%S'), try_strptime("접수일", '%Y-%m-%d'))
        ) + to_seconds((select delay_seconds from reference.feeds where feed = 'investigation_cases')) as known_at
    from raw.investigation_cases
    where known_at <= getvariable('as_of')
),
differing as (
    select case_no
    from known
    group by case_no
    having min(hash(source_category, is_withdrawn)) <> max(hash(source_category, is_withdrawn))
),
versions as (
    select known.*
    from known
    semi join differing using (case_no)
    qualify row_number() over (partition by case_no, known_at order by _row_hash desc) = 1
)
select
    'investigation_cases:' || case_no as incident_id,
    'investigation' as agency,
    'investigation_cases' as feed,
    'investigation' as service,
    source_category,
    null::integer as priority,
    null::timestamptz as occurred_at,
    reported_at,
    null::double as lon,
    null::double as lat,
    'withheld' as location_quality,
    'unknown' as location_source,
    null::varchar as named_area_id,
    null::boolean as is_discovered,
    null::bigint as units,
    is_withdrawn,
    known_at
from versions
