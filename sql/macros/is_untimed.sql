-- Whether of a record only a span of more than an hour is known, such as its day, and no time of the report.
create or replace temporary macro is_untimed(reported_at, occurred_at, occurred_until) as
    reported_at is null and coalesce(occurred_until - occurred_at > interval 1 hour, false)
