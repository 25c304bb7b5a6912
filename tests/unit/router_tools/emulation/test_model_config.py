import random
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from router_backend.core.records.variant import Device
from router_backend.executors.emulated_law import EmulatedLaw
from router_backend.executors.emulated_settings import parse_settings
from router_tools.emulation.model_config import variant_config
from router_tools.simulator.catalog import find
from router_tools.simulator.world import DynamicBatching
from router_tools.simulator.world_file import read_world
from tests.unit.router_tools.simulator.builders import variant

RESNET50 = {each.name: each for each in read_world(find("worlds", "resnet50")).variants}


def parsed(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def parameters(text: str) -> dict[str, str]:
    return {key: value.string_value for key, value in parsed(text).parameters.items()}


@pytest.mark.parametrize("name", RESNET50)
def test_an_emulated_device_has_the_service_times_of_the_variant_at_every_batch_size(name: str) -> None:
    truth = RESNET50[name]
    settings = parse_settings(parameters(variant_config(truth, 32)))
    law = EmulatedLaw(settings.points_ms, 0.0, random.Random(0))
    for batch_size in range(1, 33):
        assert law.draw_ms(batch_size) == pytest.approx(truth.law.mean_ms(batch_size, 1), abs=1e-6)
    assert (settings.noise_sigma, settings.device) == (truth.noise_sigma, truth.device)


def test_instances_and_largest_batch_are_those_of_the_variant() -> None:
    config = parsed(variant_config(variant(concurrency=3, max_batch_size=5), 32))
    assert (config.instance_group[0].count, config.max_batch_size) == (3, 5)
    assert parsed(variant_config(variant(), 32)).max_batch_size == 32


def test_the_dynamic_batcher_is_that_of_the_variant() -> None:
    batching = DynamicBatching(max_batch_size=32, max_queue_delay_s=0.0025, preferred_batch_sizes=(16, 8))
    config = parsed(variant_config(variant(batching=batching), 64))
    assert config.max_batch_size == 32
    assert list(config.dynamic_batching.preferred_batch_size) == [16, 8]
    assert config.dynamic_batching.max_queue_delay_microseconds == 2500
    assert not parsed(variant_config(variant(), 32)).HasField("dynamic_batching")


def test_a_comment_says_that_the_device_is_emulated() -> None:
    text = variant_config(replace(variant(), device=Device.MPS), 32)
    assert text.startswith("# EMULATED mps: real outputs, synthetic service times.\n")
