"""Finds a router's variants in its repository: their device, concurrency, batch size and tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from msgspec import UNSET

from router_backend.typed_load import Section, fields_of, given, load_texts
from router_backend.config.model_config import CONFIG_FILE, read_model_config
from router_backend.config.schema import StatedCharacteristics, VariantEntry
from router_backend.config.signature import Signature
from router_backend.core.records.variant import Device, Variant
from router_backend.errors import ConfigurationError, Problems, nearest
from router_backend.path_kind import REGULAR_FILE, path_kind

DEVICE_OF_KIND = {"KIND_CPU": Device.CPU, "KIND_GPU": Device.GPU}
STATED = frozenset(fields_of(StatedCharacteristics))
"""The parameters of a variant that the router reads; the others are the variant's own."""


class _Place(Section, frozen=True):
    """The parameter of a variant that says where it runs."""

    device: Device


@dataclass(frozen=True, slots=True)
class RepositoryVariant:
    """A variant as its folder in the repository describes it."""

    variant: Variant
    signature: Signature


def read_stated(where: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of `ModelCharacteristics` that a variant's parameters state.

    Raises:
        ConfigurationError: some cannot be read.
    """
    own = {key: text for key, text in texts.items() if key in STATED}
    return given(load_texts(StatedCharacteristics, own, where))


def find_variants(
    model_name: str, entries: Sequence[VariantEntry], repository: Path
) -> list[RepositoryVariant]:
    """Read the configuration of every variant of a router model.

    Args:
        model_name: the router model, for the messages.
        entries: its parameter `variants`.
        repository: the folder that holds the router model and its variants.

    Raises:
        ConfigurationError: every variant that does not exist, is the router itself or calls it, or does not
            say on which device it runs.
    """
    where = f"model '{model_name}', {CONFIG_FILE}"
    found: list[RepositoryVariant] = []
    problems = Problems()
    for index, entry in enumerate(entries):
        with problems.collect(where, f"variants[{index}]"):
            _check_entry(model_name, entry, repository)
            with problems.collect():
                found.append(_read_variant(model_name, entry, repository))
    with problems.collect(where, "variants"):
        check_no_cycle(model_name, [entry.name for entry in entries], repository)
    problems.raise_if_any()
    return found


def check_no_cycle(model_name: str, variants: Sequence[str], repository: Path) -> None:
    """Reject a router that its own variants call, in any number of steps.

    A request that goes round would never end, and take a thread of each router on every round.

    Args:
        model_name: the router model.
        variants: the names of its variants; if it is one itself, that is reported elsewhere.
        repository: the folder that holds the models.

    Raises:
        ConfigurationError: they do, with the models in between.
    """
    ways: list[tuple[str, ...]] = [(variant,) for variant in variants if variant != model_name]
    seen = set(variants)
    while ways:
        way = ways.pop(0)
        called = _called_by(repository / way[-1])
        if model_name in called:
            circle = " → ".join((model_name, *way, model_name))
            raise ConfigurationError(expected="no circular routing", found=circle, fix="remove one of them")
        ways += [(*way, name) for name in called if name not in seen]
        seen.update(called)


def _called_by(folder: Path) -> list[str]:
    """Return the models that a model calls: a router its variants, an ensemble its steps."""
    if not _is_model_name(folder.name) or path_kind(folder / CONFIG_FILE) != REGULAR_FILE:
        return []
    try:
        config = read_model_config(folder)
    except ConfigurationError:
        return []
    return [*_variants(config), *(step.model_name for step in config.ensemble_scheduling.step)]


def _variants(config: Any) -> Iterator[str]:
    """Return the variants of a router in either form."""
    if config.backend in ("router_backend", "python") and "variants" in config.parameters:
        for entry in config.parameters["variants"].string_value.split(","):
            yield entry.partition("=")[0].strip()


def _is_model_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name


def _check_entry(model_name: str, entry: VariantEntry, repository: Path) -> None:
    if not _is_model_name(entry.name):
        raise ConfigurationError(
            expected="the plain name of a model",
            found=f"'{entry.name}'",
            fix="write the name of its folder in the repository, without slashes",
        )
    if entry.name == model_name:
        raise ConfigurationError(
            expected="the models behind the router",
            found=f"'{model_name}', the router itself",
            fix="remove it",
        )
    if path_kind(repository / entry.name / CONFIG_FILE) != REGULAR_FILE:
        models = sorted(path.parent.name for path in repository.glob(f"*/{CONFIG_FILE}"))
        raise ConfigurationError(
            expected=f"a model with a {CONFIG_FILE} in the repository {repository}",
            found=f"'{entry.name}'",
            hint=nearest(entry.name, models),
        )


def _read_variant(model_name: str, entry: VariantEntry, repository: Path) -> RepositoryVariant:
    message = read_model_config(repository / entry.name)
    config: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    where = f"model '{entry.name}', {CONFIG_FILE}"
    signature = Signature.of(config)
    if not signature.inputs or not signature.outputs:
        raise ConfigurationError(
            where=where,
            expected=f"input and output, which the router '{model_name}' needs before the model is loaded",
            found="none",
            fix="declare them there",
        )
    variant = Variant(
        name=entry.name,
        device=_device(where, entry, config),
        concurrency=_concurrency(config),
        max_batch_size=signature.max_batch_size,
    )
    return RepositoryVariant(variant, signature)


def _device(where: str, entry: VariantEntry, config: Mapping[str, Any]) -> Device:
    """Return the model's own parameter, else its instance group's kind, else what the router's entry says."""
    parameters = config.get("parameters", {})
    if "device" in parameters:
        stated = parameters["device"].get("string_value", "")  # an empty string leaves no trace in the JSON
        return load_texts(_Place, {"device": stated}, where).device
    for group in config.get("instance_group", ()):
        if group.get("kind") in DEVICE_OF_KIND:
            return DEVICE_OF_KIND[group["kind"]]
    if entry.device is not UNSET:
        return entry.device
    raise ConfigurationError(
        where=where,
        expected="the device that it runs on",
        found="none",
        fix=f"add the parameter 'device' ({', '.join(each.value for each in Device)}) or an "
        f"instance_group with KIND_CPU or KIND_GPU, or write '{entry.name}=<device>' in the router's "
        f"parameter 'variants'",
    )


def _concurrency(config: Mapping[str, Any]) -> int:
    """Return how many instances the model has: the sum over its groups, each on every GPU that it names."""
    groups = config.get("instance_group", ())
    instances = sum(group.get("count", 1) * max(1, len(group.get("gpus", ()))) for group in groups)
    return max(1, int(instances))
