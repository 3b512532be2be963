-- The delay with which a feed reports, as its profile declares, as an interval.
create or replace temporary macro declared_delay(feed_name) as
    to_seconds((select delay_seconds from reference.feeds where feed = feed_name))
