"""A typing slip in a profile is refused when it is read, with the field and the line, and never accepted."""

from pathlib import Path

from pipelines.steps.check_profile import check_profile
from tests.profile_slips.__main__ import kept, summary
from tests.profile_slips.outcomes import outcomes
from tests.profile_slips.slips import SLIPS, drawn


def test_a_profile_with_a_slip_is_refused_with_the_field_and_the_line(tmp_path: Path) -> None:
    results = list(outcomes(drawn(2 * len(SLIPS), 5), tmp_path))
    assert kept(results), summary(results)


def test_the_city_without_a_slip_is_accepted() -> None:
    profile, sources, _ = check_profile(Path(__file__).with_name("city.toml"))
    assert profile.title == "Harbour City" and sources.height == 3
