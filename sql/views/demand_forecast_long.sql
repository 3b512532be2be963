-- The newest forecast of calls in the administrative areas, in hubverse's columns. Grain: model_id, location, target, target_end_date, output_type_id.
with listed as (
    select
        *,
        unnest([
            {'output_type': 'mean', 'output_type_id': null::double, 'value': mean},
            {'output_type': 'quantile', 'output_type_id': 0.05::double, 'value': "q0.05"},
            {'output_type': 'quantile', 'output_type_id': 0.1::double, 'value': "q0.1"},
            {'output_type': 'quantile', 'output_type_id': 0.2::double, 'value': "q0.2"},
            {'output_type': 'quantile', 'output_type_id': 0.25::double, 'value': "q0.25"},
            {'output_type': 'quantile', 'output_type_id': 0.3::double, 'value': "q0.3"},
            {'output_type': 'quantile', 'output_type_id': 0.4::double, 'value': "q0.4"},
            {'output_type': 'quantile', 'output_type_id': 0.5::double, 'value': "q0.5"},
            {'output_type': 'quantile', 'output_type_id': 0.6::double, 'value': "q0.6"},
            {'output_type': 'quantile', 'output_type_id': 0.7::double, 'value': "q0.7"},
            {'output_type': 'quantile', 'output_type_id': 0.75::double, 'value': "q0.75"},
            {'output_type': 'quantile', 'output_type_id': 0.8::double, 'value': "q0.8"},
            {'output_type': 'quantile', 'output_type_id': 0.9::double, 'value': "q0.9"},
            {'output_type': 'quantile', 'output_type_id': 0.95::double, 'value': "q0.95"},
            {'output_type': 'quantile', 'output_type_id': 0.99::double, 'value': "q0.99"}
        ]) as output
    from forecast.demand
    where measure = 'calls' and hierarchy = 'admin' and frequency in ('h', 'D')
)
select
    model as model_id,
    timezone(getvariable('time_zone'), reference_at)::date as reference_date,
    area_id as location,
    horizon_hours::integer as horizon,
    service || case frequency when 'h' then ' calls per hour' else ' calls per day' end as target,
    target_end as target_end_date,
    output.output_type,
    output.output_type_id,
    output.value
from listed
