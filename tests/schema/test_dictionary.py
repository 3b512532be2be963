"""The dictionary: one definition of every column, from which frames, views and releases follow."""

from pathlib import Path

import polars as pl
import pytest

from pipelines.schema import dictionary
from pipelines.schema.dictionary import DictionaryError


def written(folder: Path, **schemas: str) -> Path:
    for schema, text in schemas.items():
        (folder / f"{schema}.yml").write_text(text, "utf-8")
    return folder


def test_every_table_has_a_sentence_and_a_grain_of_its_columns() -> None:
    known = dictionary.load()
    assert all(table.meaning.endswith(".") for table in known.tables.values())
    assert all(set(table.grain) <= set(table.columns) for table in known.tables.values())


def test_every_type_has_a_type_in_frames() -> None:
    assert {column.type for column in dictionary.load().columns.values()} <= dictionary.POLARS.keys()


def test_every_table_that_python_writes_names_its_inputs() -> None:
    known = dictionary.load().tables
    computed = {name for name in known if name.partition(".")[0] in ("patterns", "forecast", "dispatch")}
    assert {name for name in computed if not known[name].inputs} == set()
    sources = {source for table in known.values() for source in table.inputs} - {"profile", "raw boundaries"}
    assert sources <= known.keys()


def test_a_column_is_defined_where_it_first_appears_and_listed_without_definition_after_that(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        core="calls: {meaning: Calls., grain: [id], columns: {id: {type: VARCHAR, meaning: Id.}}}",
        marts="daily: {meaning: Days., grain: [id], columns: {id: , calls: {type: BIGINT, meaning: Calls.}}}",
    )
    known = dictionary.load(folder)
    assert known.tables["marts.daily"].columns == ("id", "calls")
    assert known.columns["id"].type == "VARCHAR"


def test_a_second_definition_is_refused(tmp_path: Path) -> None:
    table = "{meaning: x, grain: [id], columns: {id: {type: VARCHAR, meaning: Id.}}}"
    with pytest.raises(DictionaryError, match=r"marts\.yml: b defines 'id' again"):
        dictionary.load(written(tmp_path, core=f"a: {table}", marts=f"b: {table}"))


def test_a_column_without_a_definition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DictionaryError, match=r"views\.yml: t lists \['b'\]; define them there"):
        dictionary.load(written(tmp_path, views="t: {meaning: x, grain: [], columns: {b: }}"))


def test_only_views_may_have_an_audience(tmp_path: Path) -> None:
    text = "t: {meaning: x, grain: [a], columns: {a: {type: VARCHAR, meaning: x}}, audiences: {public: }}"
    with pytest.raises(DictionaryError, match="only schema views is published"):
        dictionary.load(written(tmp_path, core=text))


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ("{public: [b]}", r"hides \['b'\] from public"),
        ("{public: [a]}", r"hides \['a'\] from public"),
        ("{press: [c]}", "hides columns from press"),
    ],
)
def test_only_columns_outside_the_grain_can_be_hidden_from_an_audience_of_the_table(
    tmp_path: Path, hidden: str, message: str
) -> None:
    columns = "{a: {type: VARCHAR, meaning: x}, c: {type: VARCHAR, meaning: x}}"
    text = f"t: {{meaning: x, grain: [a], columns: {columns}, audiences: {{public: }}, hidden: {hidden}}}"
    with pytest.raises(DictionaryError, match=message):
        dictionary.load(written(tmp_path, views=text))


def test_a_new_column_of_a_pattern_table_reaches_its_frame_and_its_view_from_one_entry(tmp_path: Path) -> None:
    text = (dictionary.FOLDER / "patterns.yml").read_text("utf-8")
    entry = "    gini: {type: DOUBLE"
    assert text.count(entry) == 1
    changed = {path.stem: path.read_text("utf-8") for path in dictionary.FOLDER.glob("*.yml")}
    changed["patterns"] = text.replace(entry, f"    gini_of_streets: {{type: DOUBLE, meaning: New.}}\n{entry}")
    known = dictionary.load(written(tmp_path, **changed))
    assert "gini_of_streets" in known.tables["patterns.concentration"].columns
    assert "gini_of_streets" in known.tables["views.concentration"].columns


def test_a_frame_has_the_columns_and_types_of_its_table() -> None:
    schema = dictionary.frame_schema("patterns.near_repeat_members")
    assert schema == {"chain_id": pl.String, "incident_id": pl.String}
    assert dictionary.empty("patterns.near_repeat_members").schema == schema


def test_a_view_that_shows_a_table_as_it_is_needs_no_file() -> None:
    views = dictionary.pass_through_views()
    assert views["lorenz"] == (
        'select "category", "place_kind", "share_of_crime", "share_of_places" from patterns.lorenz'
    )
    assert "hot_spots" not in views, "it adds the outline of its cells"
