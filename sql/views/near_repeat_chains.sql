-- Near-repeat chains of reported crime with the outline of the cell of their middle. Grain: chain_id.
select cells.admin_area_id, near_repeat_chains.*, cells.geometry
from patterns.near_repeat_chains
join reference.cells using (cell_id, cell_metres)
