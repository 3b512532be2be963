-- Minutes of patrol by cell of the risk grid and slot; empty where no agency reports them. Grain: cell_id, slot_start_at.
--
-- What is in no cell of that grid is left out here and counted in the alerts of the run.
select patrols.cell_id, patrols.slot_start_at, patrols.slot_end_at, patrols.patrol_minutes, patrols.known_at
from staging.patrols as patrols
semi join (
    select cell_id from reference.cells where cell_metres = (select min(cell_metres) from reference.cells)
) as cells on cells.cell_id = patrols.cell_id
