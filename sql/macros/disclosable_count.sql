-- A count as it may be published: null (hidden) for 1 to 7, else rounded to a multiple of 5.
create or replace temporary macro disclosable_count(exact) as case
    when exact between 1 and 7 then null
    else (round(exact / 5) * 5)::bigint
end
