-- Seconds from one instant to a later one. Instants out of order are an error of the source and give no duration.
create or replace temporary macro seconds_between(from_at, to_at) as
    case when to_at >= from_at then date_diff('second', from_at, to_at) end
