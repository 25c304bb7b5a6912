from collections.abc import Callable
from pathlib import Path

import pytest

WriteModel = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty model repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def write_model(repository: Path) -> WriteModel:
    """Writes a model's config.pbtxt: `write_model(name, *more_lines, tensors=..., max_batch_size=...)`."""

    def write(name: str, *lines: str, tensors: str | None = None, max_batch_size: int = 8) -> Path:
        image_classifier = (
            "input [{ name: 'image' data_type: TYPE_FP32 dims: [3, 224, 224] }]\n"
            "output [{ name: 'scores' data_type: TYPE_FP32 dims: [1000] }]"
        )
        text = [
            f"max_batch_size: {max_batch_size}",
            image_classifier if tensors is None else tensors,
            *lines,
        ]
        folder = repository / name
        folder.mkdir()
        (folder / "config.pbtxt").write_text("\n".join(text), encoding="utf-8")
        return folder

    return write
