-- The instant of a local time written as text in a format; null where it cannot be read.
create or replace temporary macro local_instant(value, format) as
    timezone(getvariable('time_zone'), try_strptime(value, format))
