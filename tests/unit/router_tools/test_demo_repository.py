import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.demo import repository
from router_tools.demo.architecture import SQUEEZENET
from router_tools.demo.repository import variant_names
from router_tools.errors import ToolError


@pytest.fixture(autouse=True)
def only_the_small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "ARCHITECTURES", (SQUEEZENET,))


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(
        app, ["demo-repository", *map(str, arguments)], catch_exceptions=False, standalone_mode=False
    )
    if result.exception:
        raise result.exception
    assert result.stderr == "", "a progress bar is for terminals"
    return result.stdout


def test_every_variant_gets_its_file(tmp_path: Path, demo_cache: Path) -> None:
    run("--output", tmp_path, "--cache", demo_cache)
    sizes = {
        name: (tmp_path / name / "1" / "model.onnx").stat().st_size for name in variant_names("squeezenet")
    }
    assert len(sizes) == 5
    int8 = sizes.pop("squeezenet_cpu_int8")
    assert len(set(sizes.values())) == 1, "all others run the fp32 file"
    assert int8 < next(iter(sizes.values())) / 3


def test_a_repository_elsewhere_is_complete(tmp_path: Path, demo_cache: Path) -> None:
    run("--output", tmp_path / "elsewhere", "--cache", demo_cache)
    for name in variant_names("squeezenet"):
        files = {path.name for path in (tmp_path / "elsewhere" / name).rglob("*") if path.is_file()}
        assert files == {"config.pbtxt", "model.py", "model.onnx"}
    assert (tmp_path / "elsewhere" / "squeezenet" / "1").is_dir()


def test_json_tells_what_was_made(tmp_path: Path, demo_cache: Path) -> None:
    report = json.loads(run("--output", tmp_path, "--cache", demo_cache, "--json"))
    assert [(model["name"], model["precision"]) for model in report["models"]] == [
        ("squeezenet", "fp32"),
        ("squeezenet", "int8"),
    ]
    fp32, int8 = report["models"]
    assert fp32["agreement"] is None
    assert int8["agreement"]["cosine_similarity"] > 0.95
    assert all(Path(file).is_file() for file in report["files"])
    assert len(report["files"]) == 5


def test_without_json_a_table_tells_it(tmp_path: Path, demo_cache: Path) -> None:
    table = run("--output", tmp_path, "--cache", demo_cache)
    assert "squeezenet" in table
    assert "int8" in table


def test_a_second_run_takes_the_models_from_the_cache(tmp_path: Path, demo_cache: Path) -> None:
    run("--output", tmp_path, "--cache", demo_cache)
    made = {path: path.stat().st_mtime_ns for path in demo_cache.iterdir()}
    run("--output", tmp_path, "--cache", demo_cache)
    assert {path: path.stat().st_mtime_ns for path in demo_cache.iterdir()} == made


def test_force_makes_the_same_models_again(tmp_path: Path, demo_cache: Path) -> None:
    first = json.loads(run("--output", tmp_path, "--cache", demo_cache, "--json"))
    made = {path: path.stat().st_mtime_ns for path in demo_cache.iterdir()}
    again = json.loads(run("--output", tmp_path, "--cache", demo_cache, "--force", "--json"))
    assert all(path.stat().st_mtime_ns > time_ns for path, time_ns in made.items())
    assert again == first


@pytest.mark.parametrize("option", ["--output", "--cache"])
def test_a_file_where_a_folder_belongs_is_refused(tmp_path: Path, option: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        ToolError, match="file: expected a folder or a path that does not exist yet, found a file"
    ):
        run(option, file)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, demo_cache: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolError, match=r"the demo repository could not be written: .*file"):
        run("--output", tmp_path / "file" / "below", "--cache", demo_cache)


@pytest.mark.parametrize("option", ["--output", "--cache"])
def test_a_folder_whose_name_is_too_long_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ToolError, match=r"the demo repository could not be written: .*too long"):
        run(option, tmp_path / ("long" * 100))


def test_by_default_the_models_are_written_to_the_current_folder_and_kept_in_the_users_cache(
    tmp_path: Path, demo_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "model-router").mkdir(parents=True)
    (tmp_path / "cache" / "model-router" / "models").symlink_to(demo_cache)
    report = json.loads(run("--json"))
    assert report["output"] == "model_repository"
    assert all((tmp_path / file).is_file() for file in report["files"])
    assert all(Path(model["path"]).resolve().parent == demo_cache for model in report["models"])


def test_it_says_where_the_models_are(tmp_path: Path, demo_cache: Path) -> None:
    printed = run("--output", tmp_path / "elsewhere", "--cache", demo_cache)
    assert f"5 variants in {tmp_path / 'elsewhere'}; the models are kept in {demo_cache}\n" in printed


def test_a_repository_of_other_models_is_refused_and_left_alone(tmp_path: Path, demo_cache: Path) -> None:
    (tmp_path / "bert").mkdir()
    with pytest.raises(ToolError, match=r"expected an empty folder or the demo's models, found other files"):
        run("--output", tmp_path, "--cache", demo_cache)
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]


def test_a_repository_of_the_demo_with_further_models_is_updated(tmp_path: Path, demo_cache: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "squeezenet").mkdir()
    run("--output", tmp_path, "--cache", demo_cache)
    assert (tmp_path / "squeezenet" / "config.pbtxt").is_file()
