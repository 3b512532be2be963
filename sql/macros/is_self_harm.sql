-- Whether a Korean text names suicide or self-harm.
create or replace temporary macro is_self_harm(value) as regexp_matches(value, '자살|자해|음독|목맴|투신')
