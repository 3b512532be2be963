-- Source categories of every row and version of the 119 calls that have several. Grain: incident_id, source_category.
with
known as (
    select
        dclr_rcpt_no,
        -- As one sees it: Hangul composed (NFC), no zero-width or wide spaces around.
        trim(replace(nfc_normalize(emrg_rscu_clsf_nm), chr(8203), ''), ' ' || chr(12288)) as word,
        timezone(
            getvariable('time_zone'), coalesce(try_strptime(chg_dt, '%Y%m%d%H%M%S'), try_strptime(dclr_dt, '%Y%m%d%H%M%S'))
        ) + to_seconds((select delay_seconds from reference.feeds where feed = 'fire_119')) as known_at
    from raw.fire_119
    where known_at <= getvariable('as_of')
),
differing as (
    select dclr_rcpt_no from known group by dclr_rcpt_no having count(distinct coalesce(word, '')) > 1
)
select distinct
    'fire_119:' || dclr_rcpt_no as incident_id,
    'fire_119' as feed,
    if(regexp_matches(word, '자살|자해|음독|목맴|투신'), '자해', word) as source_category
from known
semi join differing using (dclr_rcpt_no)
