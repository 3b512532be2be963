-- The service that a 119 call requires, by its class or else by the unit that was sent. Without a unit: advice where it ended
-- in advice or is of that class, null where it was repeated, silent or false.
create or replace temporary macro fire_service(source_category, unit_service, is_sent, is_advice, needs_no_unit) as case
    when not is_sent and is_advice then 'advice'
    when not is_sent and needs_no_unit then null
    when source_category = '화재' then 'fire'
    when source_category = '구조' then 'rescue'
    when source_category in ('구급', '자해') then 'ems'
    when source_category = '생활안전' then 'life_safety'
    when source_category = '안내' and not is_sent then 'advice'
    when source_category in ('안내', '기타') then null
    else unit_service
end
