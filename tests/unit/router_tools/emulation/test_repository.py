from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from router_backend.config.load import RouterSetup, read_router_setup
from router_backend.config.repository import read_model_config
from router_backend.core.records.variant import Device, Variant
from router_tools.emulation.repository import write_repository
from router_tools.errors import ToolError
from router_tools.simulator.service_law import TableServiceLaw
from router_tools.simulator.world import World, WorldVariant
from tests.unit.router_tools.simulator.builders import three_devices, variant

ROUTERS = {"first": {"policy": "latency"}, "second": {"policy": "p2c", "worker_threads": "7"}}


def read_router(folder: Path) -> RouterSetup:
    config: dict[str, Any] = json_format.MessageToDict(
        read_model_config(folder), preserving_proto_field_name=True
    )
    return read_router_setup({"name": folder.name, **config}, folder.parent)


def test_the_repository_has_a_model_for_each_variant_and_router(tmp_path: Path) -> None:
    written = write_repository(tmp_path / "new" / "repository", three_devices(), ROUTERS, 32)
    assert written == ["gpu_emulated", "ane_emulated", "cpu_emulated", "first", "second"]
    assert sorted(written) == sorted(path.name for path in (tmp_path / "new" / "repository").iterdir())


def test_routers_find_their_variants_with_devices_and_instances(tmp_path: Path) -> None:
    write_repository(tmp_path, three_devices(), ROUTERS, 24)
    router = read_router(tmp_path / "second")
    assert (router.parameters.policy, router.parameters.worker_threads) == ("p2c", 7)
    assert router.variants == (
        Variant("gpu_emulated", Device.GPU, concurrency=1, max_batch_size=24),
        Variant("ane_emulated", Device.GPU, concurrency=1, max_batch_size=24),
        Variant("cpu_emulated", Device.GPU, concurrency=2, max_batch_size=24),
    )


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_repository(tmp_path / "empty", three_devices(), {}, 32)
    assert (tmp_path / "empty" / "gpu_emulated" / "config.pbtxt").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_folder_with_files_is_refused_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ToolError, match="expected a new or empty folder, found files"):
        write_repository(tmp_path, three_devices(), {}, 32)
    with pytest.raises(ToolError, match="expected a new or empty folder"):
        write_repository(tmp_path / "mine", three_devices(), {}, 32)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolError, match=r"file/repository: cannot write the repository: "):
        write_repository(tmp_path / "file" / "repository", three_devices(), {}, 32)
    with pytest.raises(ToolError, match=r"cannot write the repository: File name too long"):
        write_repository(tmp_path / ("r" * 300), three_devices(), {}, 32)


BY_LENGTH = TableServiceLaw({128: {1: 2.0}, 384: {1: 4.0}})
UNSUPPORTED = {
    "service times by sequence length": WorldVariant(
        "gpu", Device.GPU, 1, 1, 0, BY_LENGTH, 0.0, None, None, 0.0
    ),
    "a shared processor": variant(processor="soc"),
    "hidden load": variant(hidden_load=0.2),
    "a concurrency that the router does not know": variant(concurrency=2, told_concurrency=1),
}


@pytest.mark.parametrize("feature", UNSUPPORTED)
def test_a_world_that_cannot_be_emulated_is_refused_and_nothing_is_written(
    tmp_path: Path, feature: str
) -> None:
    world = World("odd", "", (variant("plain"), UNSUPPORTED[feature]))
    with pytest.raises(ToolError) as refused:
        write_repository(tmp_path / "repository", world, {}, 32)
    assert str(refused.value) == (
        f"world 'odd', variant 'gpu': cannot emulate {feature}: choose another world"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../gpu", "a, b", ".."])
def test_a_variant_with_an_invalid_model_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match="cannot emulate a name that is not a valid model name"):
        write_repository(tmp_path / "new", World("odd", "", (variant(name),)), {}, 32)
    assert list(tmp_path.iterdir()) == []
