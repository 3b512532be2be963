-- The local midnight some days after that at which the day begins which text states; null where it states a time of day, too.
create or replace temporary macro written_day(value, is_day_column, days_after) as
    case
        when is_day_column or length(trim(value)) <= 10
            then timezone(getvariable('time_zone'), try_cast(left(trim(value), 10) as timestamp) + to_days(days_after))
    end
