"""Weights of models: by earlier origins only, from a prior, never without a forecast."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.evaluation import calibration, combine, model_weights, scoring

START = datetime(2026, 1, 5)
STAMP = pl.Datetime("us")
WEIGHT = {"table": 1.0, "ets": 1.0, "boosting": 2.0}
PRIOR = pl.DataFrame(
    [(model, young, weight) for young in (False, True) for model, weight in WEIGHT.items()],
    schema={"model": pl.String, "is_young": pl.Boolean, "weight": pl.Float64},
    orient="row",
)
MODELS = [*WEIGHT, "naive"]
DAYS = 7


def forecasts(
    errors: dict[str, float],
    rate: float = 20.0,
    series: int = 2,
    origins: int = 10,
    seed: int = 4,
    noise: dict[str, float] | None = None,
) -> pl.DataFrame:
    """Poisson outcomes of a known mean; each model errs by a factor, and by noise of its own from day to day."""
    rng = np.random.default_rng(seed)
    keys = [(u, o, d) for u in range(series) for o in range(origins) for d in range(DAYS)]
    frame = pl.DataFrame(keys, schema=["unique_id", "origin", "day"], orient="row").select(
        "unique_id",
        pl.lit("p").alias("pool"),
        pl.lit("l").alias("level"),
        (START + pl.duration(days=DAYS * pl.col("origin"))).cast(STAMP).alias("cutoff"),
        (START + pl.duration(days=DAYS * pl.col("origin") + pl.col("day"))).cast(STAMP).alias("ds"),
        pl.Series("y", rng.poisson(rate, len(keys)).astype(float)),
    )
    wobble = {name: rng.lognormal(0, (noise or {}).get(name, 1e-9), frame.height) for name in MODELS}
    return pl.concat(
        frame.with_columns(
            pl.lit(name).alias("model"),
            pl.Series("mean", rate * (1 + errors.get(name, 0.0)) * wobble[name]),
            pl.lit(None, pl.String).alias("failure"),
        )
        for name in MODELS
    ).with_columns(
        calibration.block(), pl.col("mean").alias("centre"), pl.lit(0.0).alias("dispersion"), is_young=pl.lit(False)
    )


def losses(frame: pl.DataFrame) -> pl.DataFrame:
    return model_weights.losses(combine.with_quantiles(frame), "table", "naive")


def weighted(frame: pl.DataFrame) -> pl.DataFrame:
    return model_weights.weights(frame, losses(frame), PRIOR, "D")


def last(frame: pl.DataFrame, series: int = 0) -> dict[str, float]:
    """The weights at the last origin."""
    of_series = weighted(frame).filter(pl.col("unique_id") == series)
    newest = of_series.filter(pl.col("cutoff") == pl.col("cutoff").max())
    return dict(newest.select("model", "weight").iter_rows())


def test_before_any_origin_the_weights_are_the_prior_and_marked_so() -> None:
    first = weighted(forecasts({"table": 0.5}, series=1)).filter(pl.col("cutoff") == START)
    assert first.select("model", "weight", "loss_ratio", "origins", "selected_by").rows() == [
        ("table", 0.25, None, 0, "default"),
        ("ets", 0.25, None, 0, "default"),
        ("boosting", 0.5, None, 0, "default"),
    ]


def test_a_model_that_is_clearly_best_gets_nearly_all_the_weight_after_some_origins() -> None:
    frame = forecasts({"table": 0.5, "boosting": 0.5})
    assert last(frame) == {"ets": 1.0}
    of_ets = weighted(frame).filter(pl.col("unique_id") == 0, pl.col("model") == "ets")
    by_origin = of_ets.sort("cutoff")["weight"]
    assert by_origin[0] == 0.25 and by_origin[1] < 0.3 < by_origin[2] < by_origin[3] == 1.0


def test_models_that_are_equally_good_keep_their_prior() -> None:
    assert last(forecasts({})) == {"table": 0.25, "ets": 0.25, "boosting": 0.5}


def test_weights_follow_the_loss_by_its_square_at_each_origin() -> None:
    lost = losses(forecasts({"table": 0.5}, series=1, origins=2))
    total = lost.filter(pl.col("cutoff") == START).group_by("model").agg(pl.col("loss").sum() + 1)
    by_model = dict(total.iter_rows())
    weight = {name: prior * by_model[name] ** -2 for name, prior in WEIGHT.items()}
    expected = {name: value / sum(weight.values()) for name, value in weight.items()}
    assert last(forecasts({"table": 0.5}, series=1, origins=2)) == pytest.approx(expected)


def test_half_of_the_evidence_is_of_similar_series() -> None:
    frame = pl.concat(
        [forecasts({"table": 0.5}, series=1), forecasts({}, series=1).with_columns(unique_id=pl.lit(1, pl.Int64))]
    )
    alone = frame.with_columns(level=pl.format("l {}", "unique_id"))
    apart, together = last(alone, 1).get("table", 0.0), last(frame, 1).get("table", 0.0)
    assert apart == 0.25 and together < apart
    assert last(alone).get("table", 0.0) <= last(frame).get("table", 0.0)


def test_a_series_without_an_own_origin_has_the_prior() -> None:
    frame = forecasts({"table": 0.5, "boosting": 0.5}, series=3)
    newest = frame["cutoff"].max()
    built = weighted(frame.filter((pl.col("unique_id") != 2) | (pl.col("cutoff") == newest)))
    assert built.filter(pl.col("unique_id") == 2)["selected_by"].to_list() == ["default"] * 3


def test_sparse_series_are_weighed_mostly_by_the_prior() -> None:
    rare, busy = (last(forecasts({"table": 0.3}, rate=rate, series=1, origins=3)) for rate in (0.2, 100.0))
    assert "table" not in busy and rare["table"] == pytest.approx(0.25, abs=0.05)


def test_a_model_below_the_least_weight_is_left_out_and_the_others_sum_to_one() -> None:
    weights = last(forecasts({"table": 1.0}))
    assert "table" not in weights and sum(weights.values()) == pytest.approx(1.0)
    assert min(weights.values()) >= model_weights.LEAST_WEIGHT


def test_a_model_that_mostly_has_no_forecast_has_no_weight() -> None:
    assert "ets" not in last(silent(forecasts({}), "ets"))


def test_seasonal_naive_never_has_a_weight() -> None:
    assert "naive" not in weighted(forecasts({"table": 0.3, "ets": 0.3, "boosting": 0.3}))["model"].to_list()


def test_data_after_an_origin_do_not_change_its_weights() -> None:
    frame = forecasts({"table": 0.1, "boosting": -0.1})
    for origin in (3, 6, 9):
        cutoff = START + timedelta(days=DAYS * origin)
        altered = frame.with_columns(y=pl.when(pl.col("ds") >= cutoff).then(pl.col("y") * 9 + 50).otherwise("y"))
        until = pl.col("cutoff") <= cutoff
        assert weighted(frame).filter(until).equals(weighted(altered).filter(until))


def test_the_order_of_rows_changes_no_weight() -> None:
    frame = forecasts({"table": 0.1, "boosting": -0.1}, rate=0.5, series=8)
    assert weighted(frame).equals(weighted(frame.sample(fraction=1.0, shuffle=True, seed=2)))


def test_the_loss_ratio_is_that_to_the_simplest_model() -> None:
    row = weighted(forecasts({"table": 0.3}, series=1)).filter(pl.col("model") == "ets").tail(1).row(0, named=True)
    lost = losses(forecasts({"table": 0.3}, series=1)).filter(pl.col("cutoff") < row["cutoff"])
    by_origin = lost.group_by("cutoff", "model").agg(pl.col("loss").sum() + 1).pivot("model", index="cutoff")
    ratio = (by_origin["ets"] / by_origin["table"]).log().mean()
    assert row["loss_ratio"] == pytest.approx(np.exp(ratio)) and row["loss_ratio"] < 1
    assert row["origins"] == 9 and row["selected_by"] == "series"


def weights_of(**weights: float) -> pl.DataFrame:
    return pl.DataFrame(
        [{"unique_id": 0, "cutoff": START, "model": name, "weight": weight} for name, weight in weights.items()],
        schema_overrides={"cutoff": STAMP},
    )


def silent(frame: pl.DataFrame, *names: str, reason: str | None = "too short") -> pl.DataFrame:
    fails = pl.col("model").is_in(names)
    return frame.with_columns(pl.when(~fails).then(pl.col(c)).alias(c) for c in ("mean", "centre")).with_columns(
        failure=pl.when(fails).then(pl.lit(reason))
    )


@pytest.mark.parametrize(
    ("silenced", "models", "mean", "failure"),
    [
        ((), "ets + boosting", 0.75 * 18 + 0.25 * 22, None),
        (("ets",), "boosting", 22.0, "ets: too short"),
        (("ets", "boosting"), "table", 30.0, "boosting: too short; ets: too short"),
        (("ets", "boosting", "table"), "naive", 20.0, "boosting: too short; ets: too short"),
    ],
)
def test_a_failed_model_leaves_its_weight_to_the_others_and_is_reported(
    silenced: tuple[str, ...], models: str, mean: float, failure: str | None
) -> None:
    frame = forecasts({"table": 0.5, "ets": -0.1, "boosting": 0.1}, series=1, origins=1)
    built = model_weights.combined(weights_of(ets=0.75, boosting=0.25), silent(frame, *silenced), PRIOR, "naive")
    assert built.height == DAYS and built["model"].unique().to_list() == [model_weights.CHOSEN]
    method = "fallback" if silenced else None
    assert built.select("models", "failure", "method").unique().rows() == [(models, failure, method)]
    assert built["mean"].to_list() == pytest.approx([mean] * DAYS)


def test_a_model_that_was_not_requested_is_not_a_failure_unless_no_other_has_a_mean() -> None:
    frame = forecasts({}, series=1, origins=1)
    for silenced, method in ((("ets",), None), (("ets", "boosting"), "fallback")):
        quiet = silent(frame, *silenced, reason=None)
        built = model_weights.combined(weights_of(ets=0.5, boosting=0.5), quiet, PRIOR, "naive")
        assert built.select("failure", "method").unique().rows() == [(None, method)]


def test_the_hour_that_clocks_repeat_keeps_both_its_targets() -> None:
    frame = forecasts({}, series=1, origins=1).with_columns(target_start=pl.col("ds"))
    again = frame.filter(pl.col("ds") == START).with_columns(target_start=pl.col("ds") + timedelta(hours=1))
    built = model_weights.combined(weights_of(table=0.5, ets=0.5), pl.concat([frame, again]), PRIOR, "naive")
    assert built.height == DAYS + 1 and built["models"].unique().to_list() == ["table + ets"]


def test_a_target_without_any_mean_is_left_out() -> None:
    frame = silent(forecasts({}, series=1, origins=1), *MODELS)
    assert model_weights.combined(weights_of(ets=1.0), frame, PRIOR, "naive").is_empty()


def test_weights_apply_to_later_cutoffs_and_the_prior_to_a_series_without_any() -> None:
    frame = forecasts({"ets": 0.1}, series=1, origins=3)
    built = model_weights.combined(weights_of(ets=1.0), frame, PRIOR, "naive")
    assert built.height == 3 * DAYS and built["models"].unique().to_list() == ["ets"]
    other = frame.with_columns(unique_id=pl.lit(7, pl.Int64))
    default = model_weights.combined(weights_of(ets=1.0), other, PRIOR, "naive")
    assert default["models"].unique().to_list() == ["table + ets + boosting"]
    assert default["mean"].to_list() == pytest.approx([0.25 * 20 + 0.25 * 22 + 0.5 * 20] * default.height)


def test_without_any_known_outcome_the_weights_are_the_prior() -> None:
    frame = forecasts({}, series=1, origins=2).with_columns(y=pl.lit(None, pl.Float64))
    assert losses(frame).is_empty()
    assert weighted(frame)["selected_by"].unique().to_list() == ["default"]


@pytest.mark.parametrize(("silenced", "charged"), [(("ets",), "table"), (("ets", "table"), "naive")])
def test_a_target_without_an_answer_is_charged_the_simplest_model_and_then_the_naive_one(
    silenced: tuple[str, ...], charged: str
) -> None:
    frame = silent(forecasts({"table": 0.5, "ets": -0.2, "naive": 1.0}, series=1, origins=1), *silenced)
    lost = losses(frame).filter(pl.col("block") == 1).select("model", "loss", "answered").rows_by_key("model")
    of_charged = calibration.with_quantiles(frame.filter(pl.col("model") == charged, pl.col("block") == 1))
    assert lost["ets"] == [(pytest.approx(of_charged.select(scoring.mean_pinball()).to_series().sum()), 0)]
    assert lost["boosting"][0][1] == DAYS - 1


def test_a_model_that_had_no_forecast_while_the_series_was_young_is_weighed_by_its_later_ones() -> None:
    frame = forecasts({}, series=1)
    young = (pl.col("cutoff") < START + timedelta(days=3 * DAYS)) & (pl.col("model") == "ets")
    late = frame.with_columns(pl.when(~young).then(pl.col(name)).alias(name) for name in ("mean", "centre"))
    assert last(late) == {"table": 0.25, "ets": 0.25, "boosting": 0.5}


def test_the_prior_depends_on_the_length_of_the_history() -> None:
    young = forecasts({}, series=1).with_columns(unique_id=pl.lit(7, pl.Int64), is_young=pl.lit(True))
    frame = pl.concat([forecasts({}, series=1), young])
    less = pl.col("is_young") & (pl.col("model") == "boosting")
    prior = PRIOR.with_columns(pl.when(less).then(0.5).otherwise("weight").alias("weight"))
    built = model_weights.weights(frame, losses(frame), prior, "D").filter(pl.col("model") == "boosting")
    first = built.filter(pl.col("cutoff") == START).sort("unique_id")
    assert first["weight"].to_list() == [0.5, 0.2]
