"""Finds a router's variants in its repository: their device, concurrency, batch size and tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from router_backend.config.model_config import CONFIG_FILE, read_model_config
from router_backend.config.nesting import check_no_cycle, is_model_name
from router_backend.config.parameters import DEVICES, VariantEntry
from router_backend.config.settings import one_of
from router_backend.config.signature import Signature
from router_backend.core.records.variant import Device, Variant
from router_backend.errors import ConfigurationError, UnknownNameError, nearest
from router_backend.path_kind import REGULAR_FILE, path_kind

DEVICE_OF_KIND = {"KIND_CPU": Device.CPU, "KIND_GPU": Device.GPU}


@dataclass(frozen=True, slots=True)
class RepositoryVariant:
    """A variant as its folder in the repository describes it."""

    variant: Variant
    signature: Signature


def find_variants(
    model_name: str, entries: Sequence[VariantEntry], repository: Path
) -> list[RepositoryVariant]:
    """Read the configuration of every variant of a router model.

    Args:
        model_name: the router model, for the messages.
        entries: its parameter `variants`.
        repository: the folder that holds the router model and its variants.

    Raises:
        ConfigurationError: a variant is not there, is the router itself or calls it in turn, or leaves its
            device open.
    """
    found = [_find(model_name, entry, repository) for entry in entries]
    check_no_cycle(model_name, [entry.name for entry in entries], repository)
    return found


def _find(model_name: str, entry: VariantEntry, repository: Path) -> RepositoryVariant:
    where = f"model '{model_name}', config.pbtxt, parameter 'variants'"
    if not is_model_name(entry.name):
        raise ConfigurationError(
            f"{where}: expected the plain name of a model, found '{entry.name}': "
            f"write the name of its folder in the repository alone, without slashes"
        )
    if entry.name == model_name:
        raise ConfigurationError(f"{where}: '{model_name}' is the router itself: name the models behind it")
    if path_kind(repository / entry.name / CONFIG_FILE) != REGULAR_FILE:
        models = sorted(path.parent.name for path in repository.glob(f"*/{CONFIG_FILE}"))
        raise ConfigurationError(
            f"{where}: expected a model of the repository {repository}, found '{entry.name}'"
            f"{nearest(entry.name, models)}, which has no {CONFIG_FILE} there"
        )
    message = read_model_config(repository / entry.name)
    config: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    signature = Signature.of(config)
    if not signature.inputs or not signature.outputs:
        raise ConfigurationError(
            f"model '{entry.name}', {CONFIG_FILE}: expected input and output, which the router "
            f"'{model_name}' needs to know before the model is loaded; found none: write them there"
        )
    variant = Variant(
        name=entry.name,
        device=_device(entry, config),
        concurrency=_concurrency(config),
        max_batch_size=signature.max_batch_size,
    )
    return RepositoryVariant(variant, signature)


def _device(entry: VariantEntry, config: Mapping[str, Any]) -> Device:
    """The model's own parameter, else its instance group's kind, else what the router's entry says."""
    parameters = config.get("parameters", {})
    if "device" in parameters:
        stated = parameters["device"].get("string_value", "")  # an empty string leaves no trace in the JSON
        try:
            return one_of(Device)(stated)
        except UnknownNameError as error:
            raise ConfigurationError(
                f"model '{entry.name}', {CONFIG_FILE}, parameter 'device': "
                f"expected one of {DEVICES}, found '{stated}'{error.hint}"
            ) from None
    for group in config.get("instance_group", ()):
        if group.get("kind") in DEVICE_OF_KIND:
            return DEVICE_OF_KIND[group["kind"]]
    if entry.device is not None:
        return entry.device
    raise ConfigurationError(
        f"model '{entry.name}', {CONFIG_FILE}: its device is not known: add the parameter 'device' "
        f"({DEVICES}) or an instance_group with KIND_CPU or KIND_GPU, or write '{entry.name}=<device>' "
        f"in the router's parameter 'variants'"
    )


def _concurrency(config: Mapping[str, Any]) -> int:
    """How many instances the model has: the sum over its groups, each on every GPU that it names."""
    groups = config.get("instance_group", ())
    instances = sum(group.get("count", 1) * max(1, len(group.get("gpus", ()))) for group in groups)
    return max(1, int(instances))
