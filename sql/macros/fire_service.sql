-- The service that a 119 call requires, by its class or else by the unit that was sent; null where it needs no unit.
create or replace temporary macro fire_service(source_category, unit_service) as case
    when source_category = '화재' then 'fire'
    when source_category = '구조' then 'rescue'
    when source_category in ('구급', '자해') then 'ems'
    when source_category = '생활안전' then 'life_safety'
    when source_category in ('안내', '기타') then null
    else unit_service
end
