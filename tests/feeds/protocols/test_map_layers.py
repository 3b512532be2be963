"""Map layers: every usual format is read alike, and what would move or lose a boundary is refused."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from pipelines.feeds.protocols import map_layers
from pipelines.feeds.protocols.map_layers import LayerError

UNITED_STATES = (-125.0, 24.4, -66.9, 49.4)
WEST, EAST = shapely.box(-87.62, 41.70, -87.60, 41.72), shapely.box(-87.60, 41.70, -87.58, 41.72)
FILES = ("a.gpkg", "a.shp", "a.geojson", "a.fgb", "a.kml", "a.parquet")


def layer(*shapes: Any, crs: Any = 4326) -> gpd.GeoDataFrame:
    kept = shapes or (WEST, EAST)
    return gpd.GeoDataFrame({"code": [f"0{number}" for number in range(len(kept))]}, geometry=list(kept), crs=crs)


def written(frame: gpd.GeoDataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, driver="KML" if path.suffix == ".kml" else None)
    return path


def zipped(path: Path, folder: str = "") -> Path:
    """An archive of all files of a Shapefile."""
    archive = path.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as packed:
        for member in sorted(path.parent.glob(f"{path.stem}.*")):
            if member != archive:
                packed.write(member, folder + member.name)
    return archive


def areas_of(frame: gpd.GeoDataFrame) -> list[float]:
    return sorted(round(shape.centroid.x, 4) for shape in frame.to_crs(4326).geometry)


@pytest.mark.parametrize("name", FILES)
def test_a_layer_is_the_same_in_every_format_as_a_file_and_as_its_content(tmp_path: Path, name: str) -> None:
    path = written(layer(), tmp_path / name)
    sources: list[Path | bytes] = [path] if path.suffix == ".shp" else [path, path.read_bytes()]
    for source in sources:
        frame = map_layers.read(source, name, extent=UNITED_STATES)
        assert areas_of(frame) == [-87.61, -87.59] and sorted(frame["code"]) == ["00", "01"]


def test_the_geometry_of_geoparquet_may_have_any_name(tmp_path: Path) -> None:
    path = written(layer().rename_geometry("geom"), tmp_path / "a.parquet")
    frame = map_layers.read(path, "a.parquet", extent=UNITED_STATES)
    assert areas_of(frame) == [-87.61, -87.59] and list(frame.columns) == ["code", "geometry"]


def test_a_page_instead_of_a_map_is_refused_without_advice_to_programmers() -> None:
    with pytest.raises(LayerError) as refused:
        map_layers.read(b"<html>log in</html>", "wards")
    assert str(refused.value).endswith("('the file' not recognized as being in a supported file format.)")


@pytest.mark.parametrize(
    ("encoding", "column", "district"),
    [("cp949", "자치구", "강남구"), ("utf-8", "자치구", "강남구"), ("iso-8859-1", "señal", "Málaga Ñuñoa")],
)
def test_text_of_a_shapefile_that_states_no_encoding_is_read(
    tmp_path: Path, encoding: str, column: str, district: str
) -> None:
    frame = gpd.GeoDataFrame({column: [district]}, geometry=[WEST], crs=4326)
    frame.to_file(tmp_path / "a.shp", encoding=encoding)
    (tmp_path / "a.cpg").unlink(missing_ok=True)
    for source in (tmp_path / "a.shp", zipped(tmp_path / "a.shp").read_bytes()):
        assert map_layers.read(source, "areas")[column].to_list() == [district]


def test_a_shapefile_without_its_index_is_refused_with_the_file_that_is_missing(tmp_path: Path) -> None:
    written(layer(), tmp_path / "a.shp").with_suffix(".shx").unlink()
    with pytest.raises(LayerError, match=r"areas cannot be read as a map layer \(Unable to open .*a\.shx or .*\)$"):
        map_layers.read(tmp_path / "a.shp", "areas")


@pytest.mark.parametrize("folder", ["", "city/"])
def test_a_zipped_shapefile_is_read_whatever_its_folder(tmp_path: Path, folder: str) -> None:
    archive = zipped(written(layer(crs=4326).to_crs(26916), tmp_path / "a.shp"), folder)
    for source in (archive, archive.read_bytes()):
        assert areas_of(map_layers.read(source, "a.zip", extent=UNITED_STATES)) == [-87.61, -87.59]


def without_crs(frame: gpd.GeoDataFrame, path: Path) -> Path:
    return written(gpd.GeoDataFrame(frame.drop(columns="geometry"), geometry=frame.geometry.to_numpy()), path)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize("name", ["a.shp", "a.parquet", "a.fgb"])
def test_degrees_without_a_crs_are_wgs84_and_metres_need_the_declared_one(tmp_path: Path, name: str) -> None:
    degrees = map_layers.read(without_crs(layer(), tmp_path / name), name, extent=UNITED_STATES)
    assert degrees.crs == "EPSG:4326" and areas_of(degrees) == [-87.61, -87.59]
    metres = without_crs(layer().to_crs(26916), tmp_path / f"metres_{name}")
    declared = map_layers.read(metres, name, crs="EPSG:26916", extent=UNITED_STATES)
    assert areas_of(declared) == [-87.61, -87.59]
    with pytest.raises(
        LayerError, match=rf"{name} states no CRS, and its .* not degrees .*: set crs of \[feeds.wards\]"
    ):
        map_layers.read(metres, name, table="[feeds.wards]")
    with pytest.raises(LayerError) as refused:
        map_layers.read(metres, name)
    assert (".prj" in str(refused.value)) == (name == "a.shp")


def test_a_stated_crs_comes_before_the_declared_one(tmp_path: Path) -> None:
    path = written(layer().to_crs(26916), tmp_path / "a.gpkg")
    assert areas_of(map_layers.read(path, "a", crs="EPSG:26910", extent=UNITED_STATES)) == [-87.61, -87.59]


def swapped(shape: Any) -> Any:
    return shapely.transform(shape, lambda points: points[:, ::-1])


@pytest.mark.parametrize("crs", [4326, 26916])
def test_swapped_axes_are_refused(tmp_path: Path, crs: int) -> None:
    shapes = [swapped(shape) for shape in layer().to_crs(crs).geometry]
    with pytest.raises(LayerError, match="its axes are swapped"):
        map_layers.read(written(layer(*shapes, crs=crs), tmp_path / "a.gpkg"), "a", extent=UNITED_STATES)


def test_boundaries_of_elsewhere_are_refused(tmp_path: Path) -> None:
    path = written(layer(shapely.box(126.9, 37.5, 127.0, 37.6)), tmp_path / "a.gpkg")
    with pytest.raises(LayerError, match=r"its middle 126.95, 37.55 in EPSG:4326 is outside -125, 24.4, -66.9, 49.4"):
        map_layers.read(path, "a", extent=UNITED_STATES)


@pytest.mark.parametrize(
    ("shape", "what"),
    [(WEST.exterior, "a LineString|a LinearRing"), (shapely.Point(-87.6, 41.7), "a Point"), (None, "empty")],
)
def test_what_is_not_an_area_is_refused_with_its_number(tmp_path: Path, shape: Any, what: str) -> None:
    with pytest.raises(LayerError, match=f"a: feature 2 is ({what}), not a polygon"):
        map_layers.read(written(layer(WEST, shape), tmp_path / "a.geojson"), "a")


def test_a_corner_that_is_not_a_number_is_refused_with_its_feature() -> None:
    with np.errstate(invalid="ignore"):
        shapes = [WEST, shapely.Polygon([(0, 0), (1, 0), (float("nan"), 1)])]
    with pytest.raises(LayerError, match="a: feature 2 has a corner whose coordinates are not numbers"):
        map_layers.check_polygons(shapes, "a")


def several(folder: Path) -> Path:
    for name in ("wards", "beats"):
        layer().to_file(folder / "a.gpkg", layer=name)
    return folder / "a.gpkg"


def text(folder: Path) -> Path:
    (folder / "a.geojson").write_text("no map", "utf-8")
    return folder / "a.geojson"


def indirect(folder: Path) -> Path:
    source = written(layer(), folder / "other.geojson")
    vrt = f'<OGRVRTDataSource><OGRVRTLayer name="other"><SrcDataSource>{source}</SrcDataSource></OGRVRTLayer>'
    (folder / "a.vrt").write_text(f"{vrt}</OGRVRTDataSource>", "utf-8")
    return folder / "a.vrt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (several, r"a has several layers \(wards, beats\): give a file with one"),
        (text, "a cannot be read as a map layer"),
        (indirect, "a only names other files"),
        (lambda folder: folder / "nothing.gpkg", "a does not exist"),
    ],
)
def test_a_file_that_is_not_one_layer_is_refused(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(LayerError, match=message):
        map_layers.read(make(tmp_path), "a")


def test_one_of_several_layers_is_read_by_its_name(tmp_path: Path) -> None:
    assert len(map_layers.read(several(tmp_path), "a", layer="beats")) == 2
    with pytest.raises(LayerError, match=r"several layers .*: name one as resource of \[feeds.wards\], or give a file"):
        map_layers.read(several(tmp_path), "a", table="[feeds.wards]")
    with pytest.raises(LayerError, match="a has no layer 'zones', but wards, beats"):
        map_layers.read(several(tmp_path), "a", layer="zones")
