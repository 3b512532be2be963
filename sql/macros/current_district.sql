-- Today's code of a Korean district, from a five-digit code or the longer one of a town in it: Gangwon (42) and Jeonbuk (45)
-- have new province codes since 2023 and 2024, and Gunwi belongs to Daegu since 2023.
create or replace temporary macro current_district(code) as
    case
        when starts_with(trim(code), '47720') then '27720'
        when starts_with(trim(code), '42') then '51' || substr(trim(code), 3, 3)
        when starts_with(trim(code), '45') then '52' || substr(trim(code), 3, 3)
        else left(trim(code), 5)
    end
