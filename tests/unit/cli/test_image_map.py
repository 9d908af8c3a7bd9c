"""`--image-map`: a file that is not what it must be is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubatch.cli.assemble import image_map
from kubatch.cli.main import Refused


def test_none_and_one_that_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("images: [{match: [a], command: [b]}]", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert image_map(None) is None
    assert image_map("mine.yaml") == tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"images: [", "mine.yaml: "),
        (b"{}", "must hold a list named images"),
        (b"images: [{match: [a], entry: b}]", "images[0]: unknown field 'entry'"),
        (b"\xff\xfe\xff", "cannot read the image map"),
        (None, "cannot read the image map"),
    ],
)
def test_one_that_is_wrong(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        image_map(str(path))
    assert why in refused.value.message
