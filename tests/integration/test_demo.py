"""`model-router demo`, from the models to the figures."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import router_backend
import router_tools
from router_tools import run_demo
from router_tools.__main__ import app
from router_tools.demo import repository
from router_tools.demo.architecture import SQUEEZENET
from router_tools.traffic.comparison import BATCH_SIZES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # each test runs two servers

READY = {"squeezenet_cpu", "squeezenet_cpu_int8"}


@pytest.fixture(autouse=True)
def the_small_network_in_an_empty_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo_cache: Path
) -> Iterator[None]:
    monkeypatch.setattr(repository, "ARCHITECTURES", (SQUEEZENET,))
    monkeypatch.setattr(run_demo, "ARCHITECTURES", (SQUEEZENET,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "model-router").mkdir(parents=True)
    (tmp_path / "cache" / "model-router" / "models").symlink_to(demo_cache)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    before = installed_files()
    yield
    assert installed_files() == before
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["model_repository"]


def installed_files() -> dict[Path, int]:
    """Return when each file of the installed packages was written, without Python's cache."""
    folders = [Path(str(package.__file__)).parent for package in (router_backend, router_tools)]
    files = [file for folder in folders for file in folder.rglob("*") if file.parent.name != "__pycache__"]
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}


def run(*options: str) -> str:
    result = CliRunner().invoke(app, ["demo", "--requests=240", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_with_json_it_prints_only_json_with_every_host_batch_size_and_ready_variant() -> None:
    (by_host,) = json.loads(run("--json")).values()
    assert by_host.keys() == {"native", "python"}
    for rows in by_host.values():
        assert [row["batch_size"] for row in rows] == list(BATCH_SIZES)
        for row in rows:
            assert row["requests"] > 0
            assert row["router_ms"] > 0
            assert row["variants_ms"].keys() == READY


def test_without_json_it_shows_models_variants_figures_and_a_decision() -> None:
    shown = run()
    parts = ("variants in", "UNAVAILABLE", "the routers do not use them", '"reason_out"', "mean latency")
    places = [shown.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)
