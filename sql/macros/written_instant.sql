-- The instant that text in ISO 8601 states, local without an offset; null where it states a day only, as do all values of some columns.
create or replace temporary macro written_instant(value, is_day_column) as
    case
        when is_day_column or length(trim(value)) <= 10 then null
        when regexp_matches(value, '(Z|[+-]\d\d:\d\d)$') then try_cast(value as timestamptz)
        else timezone(getvariable('time_zone'), try_cast(value as timestamp))
    end
