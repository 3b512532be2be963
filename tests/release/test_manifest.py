"""An unreadable manifest or file of a release is reported with the reason."""

from pathlib import Path

import pytest

from pipelines.release import manifest
from pipelines.release.manifest import ManifestError


def test_a_missing_and_an_unreadable_manifest_are_distinguished(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"manifest\.json is missing"):
        manifest.read(tmp_path)
    (tmp_path / manifest.FILE).mkdir()
    with pytest.raises(ManifestError, match=r"manifest\.json cannot be read \(Is a directory\)"):
        manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": []}', b'{"files": {}, "sha256": "0"}'])
def test_an_altered_manifest_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / manifest.FILE).write_bytes(content)
    with pytest.raises(ManifestError, match="is not what was written"):
        manifest.read(tmp_path)


def test_an_unreadable_file_of_a_release_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_: Path) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "a.parquet").touch()
    monkeypatch.setattr(manifest, "_described", unreadable)
    assert manifest._damage(tmp_path, "a.parquet", {}) == "a.parquet cannot be read (Input/output error)"
    assert manifest._damage(tmp_path, "b.parquet", {}) == "b.parquet is missing"
    assert manifest._damage(tmp_path, "a.parquet", None) == "a.parquet is not in the manifest"
    assert manifest._damage(tmp_path, "b.parquet", None) is None
