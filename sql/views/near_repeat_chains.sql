-- Near-repeat chains of reported crime with the outline of the cell of their middle. Grain: chain_id.
select
    chains.chain_id, chains.category, chains.incidents, chains.first_incident_date, chains.last_incident_date,
    chains.extent_m, chains.cell_id, chains.cell_metres, cells.admin_area_id, chains.permutation_p_value,
    chains.permutations, chains.is_unusual, chains.is_open, cells.geometry
from patterns.near_repeat_chains as chains
join reference.cells as cells on cells.cell_id = chains.cell_id and cells.cell_metres = chains.cell_metres
