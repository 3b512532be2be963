"""Dispatch: units required for the newest demand forecast."""

import polars as pl

from pipelines.config.settings import Settings
from pipelines.dispatch import staffing, workload
from pipelines.monitoring import run_log
from pipelines.store import warehouse


def dispatch(settings: Settings) -> None:
    """Compute the units that each area needs in each forecast hour."""
    demand = settings.profile.demand
    with run_log.recorded(settings, "dispatch"):
        with warehouse.connect(settings) as con:
            forecasts = con.execute("from forecast.demand").pl()
            sent = con.execute(
                "select dispatches.incident_id, demand_services.demand_service as service, dispatched_at, available_at "
                "from core.dispatches join core.incidents using (incident_id) "
                "join reference.demand_services on demand_services.service = incidents.service "
                "and incidents.priority is not distinct from coalesce(demand_services.priority, incidents.priority)"
            ).pl()
        minutes = workload.service_minutes(sent, demand.service_minutes)
        needing = [name for name, service in demand.services.items() if service.needs_units]
        required = staffing.staffing(
            forecasts, minutes.filter(pl.col("service").is_in(needing)), demand.max_wait_probability
        )
        with warehouse.connect(settings) as con:
            warehouse.write_frame(con, "dispatch", "staffing", required)
