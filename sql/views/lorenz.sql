-- Lorenz curves of reported crime over places. Grain: category, place_kind, share_of_crime.
select
    category, place_kind, share_of_crime, share_of_places
from patterns.lorenz
