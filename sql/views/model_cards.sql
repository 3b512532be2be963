-- What each model is for, what goes in, what never does, its baseline and limits. Grain: model.
select model, purpose_of_model, inputs, never_uses, baseline, limits
from (
    values
        (
            'hour_of_week',
            'Calls and units sent per hour for every area and service, a week ahead',
            'Calls of the last year by local hour of the week, newer weeks weighing more',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'Knows holidays by their past effect (calendar_effects), no weather or events. Quantiles are negative binomial, their width learnt from backtests'
        ),
        (
            'day_of_week',
            'Calls and units sent per day for every area and service, twelve weeks ahead: for sparse series, stations, units, and next to every other model',
            'Calls of the last year by local day of the week, newer weeks weighing more',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'Knows holidays by their past effect (calendar_effects), no weather or events. Quantiles are negative binomial, their width learnt from backtests'
        ),
        (
            'combination',
            'Calls per hour and day above stations: the mean of the models of the series, weighted by their losses at earlier origins',
            'What its models read (forecast_selections lists them)',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'As its models. Weighed on earlier origins, once a week'
        ),
        (
            'share_of_region',
            'Calls and units sent of areas, for readers of records where some calls have none: what is expected of all areas, shared among them',
            'The published forecasts of a hierarchy''s areas added up, and the hour-of-week averages of releasable calls',
            'Persons; of an area, calls that have no record',
            'seasonal_naive',
            'What an area''s withheld calls differ from the region''s is not in it. Quantiles are those of the forecast of all calls, moved to this mean'
        ),
        (
            'sum_of_parts',
            'Calls and units sent of areas above the leaves of their hierarchy, and of the days and shifts of the first week: means that add up',
            'The published forecasts of the parts (areas, hours), moved by the area''s own forecast where that paid before, and how far parts were missed together',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'As good as the parts. Quantiles are negative binomial with the variance of 500 joint sample paths'
        ),
        (
            'part_of_days',
            'Calls and units sent per shift from the second to the twelfth week',
            'The published forecasts of days, and which part of its days a shift has in those of hours',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'As good as those forecasts. Quantiles are negative binomial, their width learnt from the errors of weekday averages of the shift'
        ),
        (
            'seasonal_naive',
            'Baseline: the same hour (or weekday) last week',
            'Calls of the last weeks',
            'Persons; anything but place, time and service',
            'none',
            'One odd week repeats itself'
        ),
        (
            'prophet_mean',
            'Calls per day above stations, twelve weeks ahead: part of the weighted mean of all models that is published',
            'Calls per day',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'Used for the mean only: its own ranges are poor on small counts, so quantiles are negative binomial, learnt from backtests. Sparse series use day-of-week averages'
        ),
        (
            'ets',
            'Calls per day above stations, twelve weeks ahead: part of the weighted mean of all models that is published',
            'Square roots of calls per day: level and weekday, smoothed',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'Exponential smoothing. Knows no weather or events; says nothing of sparse series'
        ),
        (
            'regression',
            'Calls per hour and day above stations: part of the weighted mean of all models that is published',
            'Hour-of-week averages (model hour_of_week), and calls of all years by time of year, of the series and of its pool',
            'Persons; anything but place, time and service',
            'seasonal_naive',
            'Poisson regression. Less than two years have no time of year: then it is the averages at the level of the last weeks'
        ),
        (
            'stack',
            'Which small places are likelier to see reported crime in the coming day, week and month',
            'Reported incidents of allowed categories (allow_list) by cell and day, as known at the origin',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'best_count',
            'Starts at the plain count, equal cells by a finer rate. Where at least six earlier months show it to be better, over all categories, the mean of the log ranks of boosting (three quarters) and the count; not under a year of history or where boosting did not train. Says where, never who. Follows reporting, so places where people report less look safer than they are. Not for stops, searches or any decision on a person'
        ),
        (
            'slots',
            'Which small places are likelier to see reported crime in which two hours of the coming week',
            'Reported incidents of allowed categories (allow_list) by cell, day and two hours, as known at the origin; only those whose time is known to two hours teach the hours',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'best_count',
            'A count or boosting per cell, times hours of the week that the cell shares with its neighbourhood and the region. The baseline is the best count times the hours of the region. A source that writes 0 or 12 for an unknown hour makes midnight and noon look worse than they are. Nearly all selected slots pass without an incident. Not for stops, searches or any decision on a person'
        ),
        (
            'patrol_areas',
            'Compact places that a crew can patrol, a few per police station area and shift, for the coming four weeks',
            'The stack''s expected incidents of all allowed categories, times the share of the shift''s hours in the cell, its neighbourhood and the region',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'station_grid',
            'Joins adjoining cells above twice the station area''s average within a square of 500 metres (profile, [patrol]). Every place takes the same time to visit, which is assumed, and nothing is known of streets, walls or water between its cells. Follows reporting. Not for stops, searches or any decision on a person'
        ),
        (
            'station_grid',
            'Baseline: single cells with the highest expectation, in every station area as many as the places to patrol have',
            'As patrol_areas',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'none',
            'Catches more per km2 and is scattered: a crew spends its time between the cells'
        ),
        (
            'region_grid',
            'Baseline: the same with cells anywhere in the region',
            'As patrol_areas',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'none',
            'Some station areas get nearly all cells, others none'
        ),
        (
            'best_count',
            'Baseline: the simple count per cell that caught most in earlier months',
            'Reported incidents of allowed categories (allow_list) by cell and day, as known at the origin',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'none',
            'One of counts of all days, three years, 365, 56, 28 days, or decayed with a half-life of four years; slow to notice change'
        ),
        (
            'boosting',
            'Member of the risk stack: gradient-boosted Poisson regression upon a linear pool of densities, fitted every twelve weeks. Of demand: calls per hour and day above stations, where it competes with the others',
            'Risk: reported incidents of allowed categories (allow_list) by cell and day, as known at the origin. Demand: calls of all series by hour or day',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'Risk: best_count. Demand: seasonal_naive',
            'Risk: learns from the last eighteen months. Demand: learns the factor on hour-of-week averages, from all services together, so an odd one moves the others a little. A black box but for what goes in'
        ),
        (
            'density',
            'Shown for comparison: space-time kernel density',
            'Reported incidents of allowed categories (allow_list) by cell and day, as known at the origin',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'best_count',
            'Smooths over streets and rivers alike'
        ),
        (
            'self_exciting',
            'Shown for comparison: each incident raises its own cell for a while',
            'Reported incidents of allowed categories (allow_list) by cell and day, as known at the origin',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'best_count',
            'Says nothing of neighbours'
        ),
        (
            'prospective',
            'Shown for comparison: prospective hot spots of the last eight weeks',
            'Reported incidents of allowed categories (allow_list) by cell and day, as known at the origin',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'best_count',
            'Forgets lasting places'
        ),
        (
            'gi_star',
            'Where reported crime of the last year was dense beyond chance',
            'Reported incidents of allowed categories (allow_list) per map cell',
            'Persons, offenders or suspects; offences found by patrol; sensitive matters; positions of callers',
            'none',
            'Describes the past. The false discovery rate is controlled at 5 % per category; residents and visitors are not accounted for'
        ),
        (
            'erlang_c',
            'Units required per area, service and hour',
            'Forecast calls and mean time on task',
            'Persons; names of crews',
            'baseline_calls',
            'One unit per call, no travel between areas, no help from neighbours: a floor for planning, not a roster'
        )
) as cards (model, purpose_of_model, inputs, never_uses, baseline, limits)
