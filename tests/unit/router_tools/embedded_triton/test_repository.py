"""A repository that Triton would serve nothing from is refused, with where and what to do."""

from pathlib import Path

import pytest

from router_tools.embedded_triton.repository import check_repository
from router_tools.errors import ToolError


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ToolError, match=rf"{tmp_path}/nowhere is not a folder: create it.*--model-repository"
    ):
        check_repository(tmp_path / "nowhere")


def test_a_repository_with_files_only_has_no_models(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(ToolError, match=f"{tmp_path} has no models: put one folder for each"):
        check_repository(tmp_path)


def test_one_folder_makes_a_repository(tmp_path: Path) -> None:
    (tmp_path / "resnet50").mkdir()
    check_repository(tmp_path)
