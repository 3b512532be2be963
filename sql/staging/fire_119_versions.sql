-- What was known at as_of of the 119 calls that were not always told alike, at each of their instants. Grain: incident_id, known_at.
--
-- A call is told by one row per unit, each with versions of its own. Its state at an instant is made, as in fire_119,
-- from the newest version of each of its rows; it is withdrawn when no row of it stands. Class, place and withdrawal are
-- watched.
with
known as (
    select
        dclr_rcpt_no,
        vhcl_no,
        trim(emrg_rscu_clsf_nm) as source_category,
        timezone(getvariable('time_zone'), try_strptime(dclr_dt, '%Y%m%d%H%M%S')) as reported_at,
        nullif(try_cast(trim(damg_rgn_lot) as double), 0) as lon,
        nullif(try_cast(trim(damg_rgn_lat) as double), 0) as lat,
        del_yn = 'Y' as is_withdrawn,
        _row_hash,
        timezone(
            getvariable('time_zone'), coalesce(try_strptime(chg_dt, '%Y%m%d%H%M%S'), try_strptime(dclr_dt, '%Y%m%d%H%M%S'))
        ) + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_119')) as known_at
    from raw.fire_119
    where known_at <= getvariable('as_of')
),
differing as (
    select dclr_rcpt_no
    from known
    group by dclr_rcpt_no
    having min(hash(source_category, lon, lat, is_withdrawn)) <> max(hash(source_category, lon, lat, is_withdrawn))
),
versions as (
    select known.* from known semi join differing using (dclr_rcpt_no)
),
instants as (
    select distinct dclr_rcpt_no, known_at as told_at from versions
),
standing as (
    select instants.told_at, versions.*
    from instants
    join versions on versions.dclr_rcpt_no = instants.dclr_rcpt_no and versions.known_at <= instants.told_at
    qualify row_number() over (
        partition by versions.dclr_rcpt_no, told_at, vhcl_no order by versions.known_at desc, _row_hash desc
    ) = 1
),
states as (
    select
        dclr_rcpt_no,
        told_at,
        coalesce(
            first(source_category order by known_at desc, vhcl_no) filter (where not is_withdrawn),
            first(source_category order by known_at desc, vhcl_no)
        ) as source_category,
        min(reported_at) as reported_at,
        min({'lon': lon, 'lat': lat}) filter (where lon is not null and lat is not null) as place,
        bool_and(is_withdrawn) as is_withdrawn
    from standing
    group by dclr_rcpt_no, told_at
)
select
    'fire_119:' || dclr_rcpt_no as incident_id,
    'fire' as agency,
    'fire_119' as feed,
    case source_category
        when '화재' then 'fire'
        when '구조' then 'rescue'
        when '구급' then 'ems'
        when '자해' then 'ems'
        when '생활안전' then 'life_safety'
    end as service,
    source_category,
    null::integer as priority,
    reported_at,
    place.lon as lon,
    place.lat as lat,
    if(place is null, 'none', 'exact') as location_quality,
    if(place is null, 'unknown', 'scene') as location_source,
    is_withdrawn,
    told_at as known_at
from states
