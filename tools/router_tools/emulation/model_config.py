"""The config.pbtxt of emulated variants and of their routers."""

import json
from collections.abc import Mapping

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from router_tools.simulator.service_law import AffineServiceLaw
from router_tools.simulator.world import WorldVariant

INPUT, OUTPUT = "INPUT", "OUTPUT"
ITEM_ELEMENTS = 4
"""Elements of one item; few, so that the emulated service time dominates."""

LARGEST_BATCH = 65536
"""Limit, since laws that are not affine are written as a service time for each batch size."""


def emulated_name(variant: str) -> str:
    """Return the name of the emulated model of a variant."""
    return f"{variant}_emulated"


def variant_config(variant: WorldVariant, largest_batch: int) -> str:
    """Return the config.pbtxt of an emulated variant.

    Args:
        variant: the variant of the world.
        largest_batch: the largest batch if the variant has no limit.
    """
    max_batch_size = variant.max_batch_size or largest_batch
    if variant.batching is not None:  # Triton has a single limit for requests and executions
        max_batch_size = variant.batching.max_batch_size
    config = model_config_pb2.ModelConfig(
        backend="python",
        max_batch_size=max_batch_size,
        instance_group=[_instances(variant.concurrency)],
        input=[_tensor(model_config_pb2.ModelInput, INPUT)],
        output=[_tensor(model_config_pb2.ModelOutput, OUTPUT)],
    )
    if variant.batching is not None:
        config.dynamic_batching.preferred_batch_size.extend(variant.batching.preferred_batch_sizes)
        config.dynamic_batching.max_queue_delay_microseconds = round(variant.batching.max_queue_delay_s * 1e6)
    noise = {"noise_sigma": f"{variant.noise_sigma:g}"}
    _set_parameters(config, {"device": variant.device.value, **_law(variant, max_batch_size), **noise})
    return _text(config, f"EMULATED {variant.device.value}: real outputs, synthetic service times.")


def router_config(parameters: Mapping[str, str]) -> str:
    """Return the config.pbtxt of a router model with these parameters."""
    config = model_config_pb2.ModelConfig(backend="router_backend", instance_group=[_instances(1)])
    _set_parameters(config, parameters)
    return _text(config, "A router in front of emulated variants.")


def _law(variant: WorldVariant, max_batch_size: int) -> dict[str, str]:
    law = variant.law
    if isinstance(law, AffineServiceLaw) and law.cliff_above is None:
        return {"base_ms": f"{law.base_ms:g}", "per_item_ms": f"{law.per_item_ms:g}"}
    sizes = range(1, max_batch_size + 1)
    return {"ms_by_batch": json.dumps({size: round(law.mean_ms(size, 1), 6) for size in sizes})}


def _instances(count: int) -> model_config_pb2.ModelInstanceGroup:
    group = model_config_pb2.ModelInstanceGroup
    return group(kind=group.KIND_CPU, count=count)


def _tensor(kind: type, name: str) -> object:
    return kind(name=name, data_type=model_config_pb2.TYPE_FP32, dims=[ITEM_ELEMENTS])


def _set_parameters(config: model_config_pb2.ModelConfig, parameters: Mapping[str, str]) -> None:
    for key, text in parameters.items():
        config.parameters[key].string_value = text


def _text(config: model_config_pb2.ModelConfig, comment: str) -> str:
    return f"# {comment}\n{text_format.MessageToString(config)}"
