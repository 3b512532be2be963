-- Whether so much happened as was expected, in risky cells and in safe ones. Grain: reference_at, category, window, model, band.
select
    reference_at, category, "window", model, is_baseline, band::bigint as band, origins::bigint as origins,
    cells::bigint as cells, expected_incidents, incidents::bigint as incidents, calibration_ratio,
    calibration_ratio_low, calibration_ratio_high
from forecast.risk_calibration
