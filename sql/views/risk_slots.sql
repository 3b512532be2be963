-- The selected cells and two-hour slots of the newest risk forecast. Grain: category, cell_id, slot_start.
select
    risk_slots.reference_at,
    risk_slots.cell_id,
    risk_slots.cell_metres::integer as cell_metres,
    cells.admin_area_id,
    risk_slots.category,
    risk_slots.slot_start,
    risk_slots.slot_end,
    risk_slots.weekday::integer as weekday,
    risk_slots.hour::integer as hour,
    risk_slots.expected,
    risk_slots.baseline_expected,
    risk_slots.rank::bigint as rank,
    risk_slots.data_as_of,
    risk_slots.ranking_method,
    risk_slots.degraded_reason
from forecast.risk_slots as risk_slots
left join reference.cells as cells
    on cells.cell_id = risk_slots.cell_id and cells.cell_metres = risk_slots.cell_metres
where risk_slots.rank is not null
