from pathlib import Path

import pytest

from router_tools.user_cache import user_cache


def test_the_cache_is_in_the_folder_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache("prometheus") == tmp_path / "model-router" / "prometheus"


def test_otherwise_the_cache_is_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache("models") == tmp_path / ".cache" / "model-router" / "models"
