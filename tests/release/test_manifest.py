"""A manifest that cannot be read, or a file of it, is named with the reason."""

from pathlib import Path

import pytest

from pipelines.release import manifest
from pipelines.release.manifest import ManifestError


def test_a_missing_manifest_and_one_that_cannot_be_read_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"manifest\.json is missing"):
        manifest.read(tmp_path)
    (tmp_path / manifest.FILE).mkdir()
    with pytest.raises(ManifestError, match=r"manifest\.json cannot be read \(Is a directory\)"):
        manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": []}', b'{"files": {}, "sha256": "0"}'])
def test_a_manifest_that_was_altered_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / manifest.FILE).write_bytes(content)
    with pytest.raises(ManifestError, match="is not what was written"):
        manifest.read(tmp_path)


def test_a_file_of_a_release_that_the_disk_does_not_give_back_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: Path) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "a.parquet").touch()
    monkeypatch.setattr(manifest, "_described", unreadable)
    assert manifest._damage(tmp_path, "a.parquet", {}) == "a.parquet cannot be read (Input/output error)"
    assert manifest._damage(tmp_path, "b.parquet", {}) == "b.parquet is missing"
    assert manifest._damage(tmp_path, "a.parquet", None) == "a.parquet is not in the manifest"
    assert manifest._damage(tmp_path, "b.parquet", None) is None
