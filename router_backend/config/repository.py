"""Read models from their folders in a repository: config.pbtxt, signature, the variants of a router."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from google.protobuf import json_format, text_format
from msgspec import UNSET, Struct, ValidationError, convert, field
from msgspec.structs import replace

from router_backend.config.schema import DEVICES, RouterParameters, StatedCharacteristics, VariantEntry
from router_backend.core.records.variant import Device, Variant
from router_backend.errors import ConfigurationError, Problem, Problems, nearest, require
from router_backend.path_kind import (
    FOLDER,
    NO_SUCH_FILE,
    REGULAR_FILE,
    decode_text,
    path_kind,
    read_bytes,
)
from router_backend.typed_load import Section, fields_of, given, load_texts

CONFIG_FILE = "config.pbtxt"
DEVICE_OF_KIND = {"KIND_CPU": Device.CPU, "KIND_GPU": Device.GPU}
ROUTER_BACKEND = "router_backend"
DECISION_NAME = "routing_decision"
"""The output of a router that its variants do not have."""
STATED = frozenset(fields_of(StatedCharacteristics))
"""The parameters of a variant that the router reads; the others are the variant's own."""


class TensorSpec(Struct, frozen=True):
    """One input or output as config.pbtxt declares it.

    Args:
        name: the tensor's name.
        data_type: Triton's name of its type, such as TYPE_FP32.
        dims: its dimensions without the batch; -1 where they vary.
        optional: a request may leave it out.
    """

    name: str
    data_type: str
    dims: tuple[int, ...] = ()
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.data_type} {list(self.dims)}{' optional' if self.optional else ''}"

    def as_dict(self) -> dict[str, Any]:
        """Return the form in which Triton takes it when a configuration is completed."""
        spec: dict[str, Any] = {"name": self.name, "data_type": self.data_type, "dims": list(self.dims)}
        return spec | {"optional": True} if self.optional else spec


class Signature(Struct, frozen=True):
    """The tensors of a model.

    Args:
        inputs: its input tensors.
        outputs: its output tensors.
        max_batch_size: the largest batch; 0 where the first dimension is no batch.
    """

    inputs: tuple[TensorSpec, ...] = field(name="input", default=())
    outputs: tuple[TensorSpec, ...] = field(name="output", default=())
    max_batch_size: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str = "") -> "Signature":
        """Return the signature in a model configuration in its JSON form, where dims may be text.

        Raises:
            ConfigurationError: a tensor has no name or no type.
        """
        try:
            return convert(config, cls, strict=False)
        except ValidationError as error:
            expected = "a name and a data_type for every input and output"
            raise ConfigurationError(where=where, expected=expected, found=f"an error: {error}") from None

    def completed_by(self, variants: "Signature") -> "Signature":
        """Return what a router serves that declares this: what it leaves out is as its variants have it."""
        outputs = tuple(output for output in self.outputs if output.name != DECISION_NAME)
        return Signature(
            self.inputs or variants.inputs,
            outputs or variants.outputs,
            self.max_batch_size or variants.max_batch_size,
        )


Signature.of({})  # prepares it before threads use it: msgspec crashes if they do so at once (0.22)


class RepositoryVariant(NamedTuple):
    """A variant as its folder in the repository describes it.

    `labels` has the paths of its files of labels by output, as seen from the router's folder beside it.
    `left_out` is why the router cannot use it; `None` if it can.
    """

    variant: Variant
    signature: Signature
    labels: Mapping[str, str] = MappingProxyType({})
    left_out: ConfigurationError | None = None


class _Place(Section, frozen=True):
    """The parameter of a variant that says where it runs."""

    device: Device


def read_model_config(model_folder: Path) -> Any:
    """Return the `inference.ModelConfig` message in a model's folder.

    Raises:
        ConfigurationError: there is no config.pbtxt that can be read, or it does not follow Triton's schema.
    """
    path = model_folder / CONFIG_FILE
    text = decode_text(str(path), read_bytes(path, "a model configuration"))
    try:
        return text_format.Parse(text, _schema().ModelConfig())
    except text_format.ParseError as error:
        found = f"an error: {error}"
        raise ConfigurationError(where=str(path), expected="a model configuration", found=found) from None


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
    """Read the configuration of every variant that a router model's parameter `variants` names.

    One that Triton cannot load or call as it is costs only itself, as long as another one is left.

    Raises:
        ConfigurationError: every variant that does not exist, is the router itself or calls it, or does not
            say on which device it runs; or none can be used, each with the reason.
    """
    where = f"model '{model_name}', {CONFIG_FILE}"
    found: list[RepositoryVariant] = []
    problems = Problems()
    with problems.collect(where, "variants"):
        check_no_cycle(model_name, [entry.name for entry in entries], repository)
    problems.raise_if_any()  # first, since a variant that is a router is read with its own variants
    for index, entry in enumerate(entries):
        with problems.collect(where, f"variants[{index}]"):
            _check_entry(model_name, entry, repository)
            with problems.collect():
                found.append(_read_variant(model_name, entry, repository))
    problems.raise_if_any()
    left_out = [each.left_out for each in found if each.left_out is not None]
    if found and len(left_out) == len(found):
        raise ConfigurationError(*(problem for error in left_out for problem in error.problems))
    return found


def check_no_cycle(model_name: str, variants: Sequence[str], repository: Path) -> None:
    """Reject a router that its own variants call, in any number of steps.

    A request that goes round would never end, and take a thread of each router on every round. A router that
    is a variant of its own is reported elsewhere.

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


def common_signature(signatures: Mapping[str, Signature]) -> Signature:
    """Return the signature that all of at least one model share, with the largest of their batch sizes.

    Raises:
        ConfigurationError: two models disagree; the text names both and the tensor.
    """
    (first, common), *others = signatures.items()
    for name, signature in others:
        check_agreement(first, common, name, signature)
    return replace(common, max_batch_size=max(each.max_batch_size for each in signatures.values()))


def check_agreement(
    first: str,
    one: Signature,
    second: str,
    other: Signature,
    fix: str = "give the variants of one model the same names, types and dims",
) -> None:
    """Reject two models whose tensors differ.

    Args:
        first: the name of the one.
        one: its tensors.
        second: the name of the other.
        other: its tensors.
        fix: what to do then.

    Raises:
        ConfigurationError: every input and output on which they disagree, and whether there is a batch.
    """
    problems = Problems()
    for kind, ones, others in (("input", one.inputs, other.inputs), ("output", one.outputs, other.outputs)):
        tensors, twins = ({tensor.name: tensor for tensor in each} for each in (ones, others))
        for name in (name for name in {**tensors, **twins} if tensors.get(name) != twins.get(name)):
            expected = f"{tensors.get(name, 'none')} as in '{first}'"
            found = f"{twins.get(name, 'none')} in '{second}'"
            problems.append(Problem(path=f"{kind} '{name}'", expected=expected, found=found, fix=fix))
    if (one.max_batch_size == 0) != (other.max_batch_size == 0):
        found = f"{one.max_batch_size} and {other.max_batch_size}"
        problems.append(Problem(path="max_batch_size", expected="both 0 or neither", found=found, fix=fix))
    if problems:
        raise ConfigurationError(*problems).at(f"models '{first}' and '{second}'")


@cache
def _schema() -> ModuleType:
    """Return `model_config_pb2` of tritonclient, without the gRPC client around it.

    Importing it as `tritonclient.grpc.model_config_pb2` would bring gRPC along: 50 MB in every router
    process, for one class.
    """
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        expected = "the package 'tritonclient', which has the schema of config.pbtxt"
        raise ConfigurationError(expected=expected, found="none", fix="pip install tritonclient")
    path = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("router_backend_model_config_pb2", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError(where=str(path), expected="the schema of config.pbtxt", found="no such file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _called_by(folder: Path) -> list[str]:
    """Return the models that a model calls: a router its variants, an ensemble its steps."""
    if not _is_model_name(folder.name) or path_kind(folder / CONFIG_FILE) != REGULAR_FILE:
        return []
    try:
        config = read_model_config(folder)
    except ConfigurationError:
        return []
    return [*variant_names(config), *(step.model_name for step in config.ensemble_scheduling.step)]


def variant_names(config: Any) -> Iterator[str]:
    """Return the names of the variants of a router in either form."""
    if config.backend in (ROUTER_BACKEND, "python") and "variants" in config.parameters:
        for entry in config.parameters["variants"].string_value.split(","):
            yield entry.partition("=")[0].strip()


def _is_model_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name


def _check_entry(model_name: str, entry: VariantEntry, repository: Path) -> None:
    found = f"'{entry.name}'"
    fix = "write the name of its folder in the repository, without slashes"
    require(_is_model_name(entry.name), "", "the plain name of a model", found, fix=fix)
    expected = "the models behind the router"
    itself = f"'{model_name}', the router itself"
    require(entry.name != model_name, "", expected, itself, fix="remove it")
    folder = repository / entry.name
    if path_kind(folder) != FOLDER or path_kind(folder / CONFIG_FILE) == NO_SUCH_FILE:
        expected = f"a model with a {CONFIG_FILE} in the repository {repository}"
        known = sorted(path.parent.name for path in repository.glob(f"*/{CONFIG_FILE}"))
        apart = next((sign for sign in ";|" if sign in entry.name), "")
        hint = f"write commas between models instead of '{apart}'" if apart else nearest(entry.name, known)
        raise ConfigurationError(expected=expected, found=found, hint=hint)


def _read_variant(model_name: str, entry: VariantEntry, repository: Path) -> RepositoryVariant:
    where = f"model '{entry.name}', {CONFIG_FILE}"
    try:
        message = read_model_config(repository / entry.name)
        _check_can_be_called(where, message)
        is_router = message.backend == ROUTER_BACKEND
        inner = _variants_behind(entry.name, message, repository) if is_router else []
        config: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
        signature = Signature.of(config, where)
    except ConfigurationError as error:
        device = Device.CPU if entry.device is UNSET else entry.device  # never used
        return RepositoryVariant(Variant(entry.name, device), Signature(), left_out=error)
    if inner:
        return _router_as_variant(where, entry, message, inner)
    expected = f"input and output, which the router '{model_name}' needs before the model is loaded"
    declared = bool(signature.inputs and signature.outputs)
    require(declared, "", expected, "none", where=where, fix="declare them there")
    read_stated(where, {key: value.string_value for key, value in message.parameters.items()})
    device = _device(where, entry, config)
    variant = Variant(entry.name, device, _concurrency(config), signature.max_batch_size)
    return RepositoryVariant(variant, signature, _labels(repository / entry.name, message))


def _variants_behind(name: str, message: Any, repository: Path) -> list[RepositoryVariant]:
    """Return the usable variants of a router that is a variant itself."""
    texts = {key: value.string_value for key, value in message.parameters.items()}
    entries = load_texts(RouterParameters, texts, f"model '{name}', {CONFIG_FILE}").variants
    return [each for each in find_variants(name, entries, repository) if each.left_out is None]


def _router_as_variant(
    where: str, entry: VariantEntry, message: Any, inner: Sequence[RepositoryVariant]
) -> RepositoryVariant:
    """Return a router as a variant: it runs where its variants do, unless the entry says so, and as often."""
    variants = [each.variant for each in inner]
    devices = {variant.device for variant in variants}
    expected = f"one device for all variants behind '{entry.name}', or '{entry.name}=<device>'"
    known = len(devices) == 1 or entry.device is not UNSET
    found = ", ".join(sorted(device.value for device in devices))
    require(
        known,
        "",
        expected,
        found,
        where=where,
        fix="write it in the parameter 'variants' of the router before it",
    )
    device = devices.pop() if entry.device is UNSET else entry.device
    config = json_format.MessageToDict(message, preserving_proto_field_name=True)
    common = common_signature({each.variant.name: each.signature for each in inner})
    signature = Signature.of(config).completed_by(common)
    concurrency = sum(variant.concurrency for variant in variants)
    labels = {output: path for each in reversed(inner) for output, path in each.labels.items()}
    return RepositoryVariant(
        Variant(entry.name, device, concurrency, signature.max_batch_size), signature, labels
    )


def _check_can_be_called(where: str, message: Any) -> None:
    """Reject a model that Triton does not call for exactly one answer."""
    path, fix = "model_transaction_policy.decoupled", "serve it without that policy"
    expected = "false, since Triton does not let a model call a decoupled one for its answer"
    require(not message.model_transaction_policy.decoupled, path, expected, "true", where=where, fix=fix)


def _labels(folder: Path, message: Any) -> dict[str, str]:
    """Return the label files of a variant's outputs that are there: without one, Triton does not load it."""
    named = {output.name: output.label_filename for output in message.output if output.label_filename}
    is_file = {name: path_kind(folder / file) == REGULAR_FILE for name, file in named.items()}
    return {name: f"../{folder.name}/{file}" for name, file in named.items() if is_file[name]}


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
    fix = (
        f"add the parameter 'device' ({DEVICES}) or an instance_group with KIND_CPU or KIND_GPU, or "
        f"write '{entry.name}=<device>' in the router's parameter 'variants'"
    )
    raise ConfigurationError(where=where, expected="the device that it runs on", found="none", fix=fix)


def _concurrency(config: Mapping[str, Any]) -> int:
    """Return how many instances the model has: the sum over its groups, each on every GPU that it names."""
    groups = config.get("instance_group", ())
    instances = sum(group.get("count", 1) * max(1, len(group.get("gpus", ()))) for group in groups)
    return max(1, int(instances))
