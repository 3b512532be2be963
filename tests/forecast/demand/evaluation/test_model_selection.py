"""Model selection: by earlier origins only, preferring robust means, never without a forecast."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.evaluation import calibration, model_selection, scoring

START = datetime(2026, 1, 5)
STAMP = pl.Datetime("us")
ORDER = ["table", "ets", "boosting"]
MODELS = [*ORDER, "naive"]
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
    ).with_columns(calibration.block(), pl.col("mean").alias("centre"), pl.lit(0.0).alias("dispersion"))


def chosen(frame: pl.DataFrame, order: list[str] = ORDER) -> pl.DataFrame:
    trained = calibration.with_quantiles(frame.filter(pl.col("mean").is_not_null()))
    lost = model_selection.losses(trained, order, "naive")
    scales = frame.select("unique_id", pl.lit(5.0).alias("scale")).unique()
    return model_selection.choose(frame, lost, scales, order, "D")


def last(frame: pl.DataFrame) -> dict[str, object]:
    return chosen(frame).filter(pl.col("unique_id") == 0, pl.col("block") == 1).tail(1).row(0, named=True)


def test_a_model_that_is_clearly_best_is_chosen_alone() -> None:
    row = last(forecasts({"table": 0.5, "boosting": 0.5}))
    assert (row["models"], row["weight"], row["selected_by"], row["origins"]) == ("ets", 1.0, "series", 9)
    assert row["runner_up_score"] - row["score"] > row["standard_error"]  # type: ignore[operator]


def test_without_a_clear_difference_the_mean_of_three_is_selected() -> None:
    row = last(forecasts({}, noise={"table": 0.05, "ets": 0.05, "boosting": 0.05}))
    assert row["models"] == "table + ets + boosting" and row["weight"] == pytest.approx(1 / 3)


def test_two_similar_best_models_are_averaged() -> None:
    row = last(forecasts({"boosting": 1.0}, noise={"table": 0.1, "ets": 0.1}))
    assert row["models"] == "table + ets" and row["weight"] == 0.5


def test_errors_that_cancel_make_a_mean() -> None:
    assert last(forecasts({"table": 0.25, "ets": -0.25, "boosting": 1.0}))["models"] == "table + ets"


def test_a_model_that_mostly_has_no_forecast_is_not_selected() -> None:
    frame = silent(forecasts({"boosting": 0.01}, noise={"table": 0.05}), "ets")
    assert last(frame)["models"] in ("table + boosting", "boosting")


def test_seasonal_naive_is_never_selected() -> None:
    choices = chosen(forecasts({"table": 0.3, "ets": 0.3, "boosting": 0.3}))
    assert not choices["models"].str.contains("naive").any()


def test_without_an_earlier_origin_the_simplest_models_are_averaged_and_marked_so() -> None:
    first = chosen(forecasts({"table": 0.5})).filter(pl.col("cutoff") == START)
    assert first.select("models", "selected_by", "score").unique().rows() == [
        ("table + ets + boosting", "default", None)
    ]


def test_a_series_with_few_origins_is_chosen_with_its_cluster() -> None:
    choices = chosen(forecasts({"table": 0.5, "boosting": 0.5}))
    by = choices.filter(pl.col("unique_id") == 0, pl.col("block") == 0).sort("cutoff")["selected_by"].to_list()
    assert by == ["default", "cluster", "cluster", "cluster", *["series"] * 6]


def test_sparse_series_are_chosen_together_and_never_on_their_own_noise() -> None:
    frame = forecasts({"table": 1.0, "boosting": 1.0}, rate=0.2, series=30)
    choices = chosen(frame).filter(pl.col("cutoff") == frame["cutoff"].max(), pl.col("block") == 1)
    assert choices["selected_by"].unique().to_list() == ["cluster"]
    bands = choices.group_by("score").agg(pl.col("models").n_unique().alias("n"))
    assert (bands["n"] == 1).all() and bands.height < 6
    assert choices.filter(pl.col("models") == "ets").height > 20


def test_data_after_an_origin_do_not_change_its_selection() -> None:
    frame = forecasts({"table": 0.1, "boosting": -0.1})
    for origin in (3, 6, 9):
        cutoff = START + timedelta(days=DAYS * origin)
        altered = frame.with_columns(y=pl.when(pl.col("ds") >= cutoff).then(pl.col("y") * 9 + 50).otherwise("y"))
        until = pl.col("cutoff") <= cutoff
        assert chosen(frame).filter(until).equals(chosen(altered).filter(until))


def test_the_order_of_rows_changes_no_choice() -> None:
    frame = forecasts({"table": 0.1, "boosting": -0.1}, rate=0.5, series=8)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=2)
    assert chosen(frame).equals(chosen(shuffled))


def test_a_block_not_seen_yet_follows_the_block_before_it() -> None:
    frame = forecasts({"table": 0.5, "boosting": 0.5})
    far = frame.filter(pl.col("cutoff") == frame["cutoff"].max(), pl.col("block") == 1).with_columns(
        ds=pl.col("ds") + timedelta(days=7), y=pl.lit(None, pl.Float64), block=pl.lit(2, pl.Int8)
    )
    choices = chosen(pl.concat([frame, far])).filter(pl.col("block") == 2)
    assert choices["models"].unique().to_list() == ["ets"] and choices["selected_by"].unique().to_list() == ["series"]


def choices_of(models: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"unique_id": [0, 0], "cutoff": START, "block": [0, 1], "models": models},
        schema_overrides={"cutoff": STAMP, "block": pl.Int8},
    )


def silent(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    fails = pl.col("model").is_in(names)
    return frame.with_columns(pl.when(~fails).then(pl.col(c)).alias(c) for c in ("mean", "centre")).with_columns(
        failure=pl.when(fails).then(pl.lit("too short"))
    )


@pytest.mark.parametrize(
    ("silenced", "models", "mean", "failure"),
    [
        ((), "ets + boosting", 20.0, None),
        (("ets",), "boosting", 22.0, "ets: too short"),
        (("ets", "boosting"), "table", 30.0, "boosting: too short; ets: too short"),
        (("ets", "boosting", "table"), "naive", 20.0, "boosting: too short; ets: too short"),
    ],
)
def test_a_failed_model_is_replaced_by_the_next_and_reported(
    silenced: tuple[str, ...], models: str, mean: float, failure: str | None
) -> None:
    frame = forecasts({"table": 0.5, "ets": -0.1, "boosting": 0.1}, series=1, origins=1)
    built = model_selection.apply(choices_of("ets + boosting"), silent(frame, *silenced), ORDER, "naive")
    assert built.height == DAYS and built["model"].unique().to_list() == [model_selection.CHOSEN]
    assert built.select("models", "failure").unique().rows() == [(models, failure)]
    assert built["mean"].to_list() == pytest.approx([mean] * DAYS)


def test_the_hour_that_clocks_repeat_keeps_both_its_targets() -> None:
    frame = forecasts({}, series=1, origins=1).with_columns(target_start=pl.col("ds"))
    again = frame.filter(pl.col("ds") == START).with_columns(target_start=pl.col("ds") + timedelta(hours=1))
    built = model_selection.apply(choices_of("table + ets"), pl.concat([frame, again]), ORDER, "naive")
    assert built.height == DAYS + 1 and built["models"].unique().to_list() == ["table + ets"]


def test_a_target_without_any_mean_is_left_out() -> None:
    frame = silent(forecasts({}, series=1, origins=1), *MODELS)
    assert model_selection.apply(choices_of("ets"), frame, ORDER, "naive").is_empty()


def test_a_selection_applies_to_later_cutoffs() -> None:
    frame = forecasts({"ets": 0.1}, series=1, origins=3)
    built = model_selection.apply(choices_of("ets"), frame, ORDER, "naive")
    assert built.height == 3 * DAYS and built["models"].unique().to_list() == ["ets"]
    other = model_selection.apply(choices_of("ets"), frame.with_columns(unique_id=pl.lit(7, pl.Int64)), ORDER, "naive")
    assert other["models"].unique().to_list() == ["table + ets + boosting"]


def losses_of(**scores: list[float]) -> pl.DataFrame:
    """Mean losses by origin of two models and their mean (``both``), of one busy series; ten targets an origin."""
    names = {"table": "table", "ets": "ets", "both": "table + ets"}
    return pl.DataFrame(
        [
            {
                "unique_id": 0, "pool": "p", "level": "l", "cutoff": START + timedelta(days=7 * origin), "block": 0,
                "candidate": names[name], "loss": 10 * score, "answered": 10.0, "targets": 10, "calls": 1000.0,
                "last": START + timedelta(days=7 * origin),
            }
            for name, row in scores.items() for origin, score in enumerate(row)
        ],
        schema_overrides={"cutoff": STAMP, "last": STAMP, "block": pl.Int8},
    )  # fmt: skip


def chosen_of(lost: pl.DataFrame, scale: float | None = 1.0) -> dict[str, object]:
    wanted = pl.DataFrame(
        {"unique_id": [0], "pool": "p", "level": "l", "cutoff": START + timedelta(days=100), "block": 0},
        schema_overrides={"cutoff": STAMP, "block": pl.Int8},
    )
    scales = pl.DataFrame({"unique_id": [0], "scale": [scale]}, schema_overrides={"scale": pl.Float64})
    return model_selection.choose(wanted, lost, scales, ["table", "ets"], "D").row(0, named=True)


@pytest.mark.parametrize(("errors", "models"), [(1.5, "table + ets"), (1.99, "table + ets"), (2.5, "ets")])
def test_the_mean_gives_way_only_to_a_model_that_is_better_by_two_standard_errors(errors: float, models: str) -> None:
    steps = np.array([-1.0, 1.0] * 4)
    # The mean is behind ``ets`` by so many standard errors of the difference over eight origins.
    excess = errors * steps.std(ddof=1) / np.sqrt(8) + steps
    row = chosen_of(losses_of(table=[9.0] * 8, ets=[5.0] * 8, both=(5 + excess).tolist()))
    other = "ets" if models == "table + ets" else "table + ets"
    assert (row["models"], row["runner_up"]) == (models, other)
    assert row["standard_error"] == pytest.approx(steps.std(ddof=1) / np.sqrt(8))
    assert row["origins"] == 8 and row["selected_by"] == "series"


@pytest.mark.parametrize(("scale", "divisor"), [(4.0, 4.0), (0.0, 1.0), (None, 1.0)])
def test_a_score_is_the_loss_over_the_scale_or_a_target_where_the_series_has_no_scale(
    scale: float | None, divisor: float
) -> None:
    row = chosen_of(losses_of(table=[9.0] * 5, ets=[2.0] * 5, both=[6.0] * 5), scale)
    assert (row["models"], row["score"]) == ("ets", pytest.approx(2 / divisor))
    assert (row["runner_up"], row["runner_up_score"]) == ("table + ets", pytest.approx(6 / divisor))


def test_the_first_model_stays_a_candidate_though_it_answered_little_and_another_does_not() -> None:
    lost = losses_of(table=[2.0] * 5, ets=[9.0] * 5, both=[6.0] * 5)
    rare = lost.with_columns(answered=pl.when(pl.col("candidate") == "table").then(1.0).otherwise("answered"))
    assert chosen_of(rare)["models"] == "table"
    lost = losses_of(table=[9.0] * 5, ets=[2.0] * 5, both=[6.0] * 5)
    half = lost.with_columns(answered=pl.when(pl.col("candidate") == "ets").then(5.0).otherwise("answered"))
    assert chosen_of(half)["models"] == "ets"
    less = lost.with_columns(answered=pl.when(pl.col("candidate") == "ets").then(4.9).otherwise("answered"))
    assert chosen_of(less)["models"] != "ets"


def test_one_origin_alone_passes_over_no_candidate() -> None:
    row = chosen_of(losses_of(table=[9.0], ets=[2.0], both=[6.0]))
    assert (row["models"], row["selected_by"], row["origins"]) == ("table + ets", "cluster", 1)


def test_without_any_known_outcome_there_is_no_loss_and_the_default_is_chosen() -> None:
    frame = forecasts({}, series=1, origins=2).with_columns(y=pl.lit(None, pl.Float64))
    lost = model_selection.losses(calibration.with_quantiles(frame), ORDER, "naive")
    assert lost.is_empty()
    assert chosen(frame)["selected_by"].unique().to_list() == ["default"]


def test_a_target_without_an_answer_is_charged_the_first_model_and_then_the_naive_one() -> None:
    frame = forecasts({"table": 0.5, "ets": -0.2, "naive": 1.0}, series=1, origins=1)
    lost: dict[tuple[str, ...], dict[str, float]] = {}
    for silenced in ((), ("ets",), ("ets", "table")):
        trained = calibration.with_quantiles(silent(frame, *silenced).filter(pl.col("mean").is_not_null()))
        losses = model_selection.losses(trained, ["table", "ets"], "naive").filter(pl.col("block") == 1)
        lost[silenced] = dict(losses.select("candidate", "loss").iter_rows())
    assert lost[("ets",)]["ets"] == lost[()]["table"] == lost[("ets",)]["table + ets"]
    naive = calibration.with_quantiles(frame.filter(pl.col("model") == "naive", pl.col("block") == 1))
    expected = naive.select(scoring.mean_pinball()).to_series().sum()
    assert lost[("ets", "table")]["ets"] == pytest.approx(expected)
    assert lost[("ets", "table")]["table"] == pytest.approx(expected)
