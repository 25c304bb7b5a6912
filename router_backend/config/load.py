"""Load a router's configuration: `routing.json`, and all that a router model's config.pbtxt refers to."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from router_backend.config.repository import (
    CONFIG_FILE,
    DECISION_NAME,
    RepositoryVariant,
    Signature,
    TensorSpec,
    check_agreement,
    common_signature,
    find_variants,
)
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import RouterParameters, RoutingDocument
from router_backend.core.experiments.experiment import Experiment, check_experiments
from router_backend.core.model.logical_model import check_variants
from router_backend.core.records.variant import Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import ConfigurationError, Problems, nearest, require
from router_backend.path_kind import decode_text, read_bytes
from router_backend.typed_load import decode_json, fields_of, given, load, load_texts

ROUTING = "a routing configuration"
MOST_ROUTING_BYTES = 1_000_000
REFERENCES = frozenset({"variants", "routing_config"})
"""The parameters of a router that name other models and files."""
DECISION_OUTPUT = TensorSpec(DECISION_NAME, "TYPE_STRING", (1,))
"""The output that holds the decision; only requests that ask for it get it."""


@dataclass(frozen=True, slots=True)
class RoutingFile:
    """A routing configuration, with the path and the content of the file that it is from."""

    path: Path
    content: bytes
    config: RoutingConfig


@dataclass(frozen=True, slots=True)
class RouterSetup:
    """Everything that a router model needs to know before it serves.

    The repository holds the router model and its variants, and the signature is what all of these take and
    give. There may be no routing file. `labels` are the paths of the outputs' label files, from the router's
    folder, and `left_out` has the reasons, by name, of variants that it cannot use.
    """

    name: str
    repository: Path
    parameters: RouterParameters
    variants: tuple[Variant, ...]
    signature: Signature
    routing_file: RoutingFile | None
    labels: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def routing(self) -> RoutingConfig:
        """The routing configuration that applies where its own settings say nothing."""
        return RoutingConfig() if self.routing_file is None else self.routing_file.config

    @property
    def usable(self) -> list[Variant]:
        """The variants that are not left out."""
        return [variant for variant in self.variants if variant.name not in self.left_out]

    @property
    def settings(self) -> ModelSettings:
        """The settings that apply."""
        return self.routing.settings_for(self.name, self.parameters)

    def check_fit(self, routing: RoutingConfig) -> None:
        """Check the policies and experiments for it against its variants, applied or not.

        Raises:
            ConfigurationError: a policy is for a variant that it does not have, or two experiments compete
                for the same requests.
        """
        source = "" if self.routing_file is None else str(self.routing_file.path)
        model = f"model '{self.name}'"
        problems = Problems()
        for make, path in routing.policies_of(self.name, self.parameters):
            where = f"{source}, {model}" if path else f"{model}, {CONFIG_FILE}"
            with problems.collect(where, path or "policy"):
                make().check([variant.name for variant in self.variants])
        with problems.collect(source, "experiments"):
            check_experiments(self.name, [each for each in routing.experiments if each.matches(self.name)])
        problems.raise_if_any()


def read_router_setup(config: Mapping[str, Any], repository: Path) -> RouterSetup:
    """Validate a router model's configuration, in its JSON form, against its parameters and its variants.

    The configuration may be incomplete; the repository holds the router model and its variants.

    Raises:
        ConfigurationError: everything that is wrong with it.
    """
    name = config["name"]
    own = sorted(config.get("parameters", {}).items())  # protobuf gives them in another order each time
    texts = {key: value.get("string_value", "") for key, value in own}
    problems = Problems()
    with problems.collect():
        parameters = read_parameters(name, texts)
    if problems:
        parameters = _read_references(name, texts, problems)
    with problems.collect(f"model '{name}', {CONFIG_FILE}"):
        _check_not_cached(config)
        _check_not_warmed_up(config)
        _check_not_decoupled(config)
    with problems.collect():
        path = parameters.routing_config
        file = None if path is None else read_routing_file(routing_path(repository / name, path))
    with problems.collect():
        found = find_variants(name, parameters.variants, repository)
        with problems.collect():
            check_variants(name, [each.variant for each in found])
        usable = [each for each in found if each.left_out is None]
        signature = _common_signature(name, usable)
        _check_own(name, config, usable[0].variant, signature)
        _check_outputs(name, parameters.optional_outputs, signature)
    problems.raise_if_any()
    variants = tuple(each.variant for each in found)
    labels = {output: path for each in reversed(usable) for output, path in each.labels.items()}
    left_out = {each.variant.name: str(each.left_out) for each in found if each.left_out is not None}
    setup = RouterSetup(name, repository, parameters, variants, signature, file, labels, left_out)
    setup.check_fit(setup.routing)
    return setup


def read_parameters(model_name: str, texts: Mapping[str, str]) -> RouterParameters:
    """Return the parameters of a router model, or raise everything that is wrong with them."""
    return load_texts(RouterParameters, texts, f"model '{model_name}', {CONFIG_FILE}")


def _read_references(model_name: str, texts: Mapping[str, str], problems: Problems) -> RouterParameters:
    """Return the parameters that name other files, which can be checked although others are wrong.

    Raises:
        ConfigurationError: all problems of the parameters, one of these among them.
    """
    try:
        return read_parameters(model_name, {key: text for key, text in texts.items() if key in REFERENCES})
    except ConfigurationError:
        raise ConfigurationError(*problems) from None


def routing_path(router_folder: Path, routing_config: Path) -> Path:
    """Return the path of the routing file that a router's parameter names."""
    return Path(os.path.normpath(router_folder / routing_config))


def read_routing_file(path: Path) -> RoutingFile:
    """Read the routing configuration in a file.

    Raises:
        ConfigurationError: it cannot be read, or everything that is wrong in it.
    """
    content = read_routing_bytes(path)
    return RoutingFile(path, content, parse_routing(str(path), content))


def read_routing_bytes(path: Path) -> bytes:
    """Return the content of a routing file.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return read_bytes(path, ROUTING, MOST_ROUTING_BYTES)


def parse_routing(source: str, content: bytes) -> RoutingConfig:
    """Return the routing configuration in the content of the file `source`, JSON in UTF-8.

    Raises:
        ConfigurationError: everything that is wrong in it.
    """
    document = load(RoutingDocument, decode_json(source, decode_text(source, content)), source)
    members = {each.name: getattr(document, each.name) for each in fields(RoutingConfig)}
    limits = {device: DeviceLimits(**given(each)) for device, each in document.device_limits.items()}
    experiments = tuple(each.experiment() for each in document.experiments)
    try:
        return RoutingConfig(**members | {"device_limits": limits, "experiments": experiments})
    except ConfigurationError as error:
        raise error.at(source) from None


def to_json(config: RoutingConfig) -> str:
    """Return the text of a file that is read as this configuration.

    Raises:
        ConfigurationError: an arm of an experiment is a class or a function.
    """
    known = fields_of(RoutingDocument).items()
    members = {key: getattr(config, each.name) for key, each in known if hasattr(config, each.name)}
    members["backend_limits"] = {
        device: {key: value for key, value in asdict(limits).items() if value is not None}
        for device, limits in config.device_limits.items()
    }
    members["experiments"] = list(map(_experiment, config.experiments))
    document = load(RoutingDocument, msgspec.to_builtins(members, enc_hook=dict))
    text = msgspec.json.encode(document, enc_hook=dict, order="deterministic")
    return msgspec.json.format(text, indent=2).decode() + "\n"


def _experiment(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as `routing.json` has it."""
    members: dict[str, Any] = {each.name: getattr(experiment, each.name) for each in fields(experiment)}
    for arm in ("control", "treatment"):
        if not isinstance(members[arm], str):
            where = f"experiment '{experiment.experiment_id}'"
            expected = "policies by name, which is what a file can hold"
            raise ConfigurationError(where=where, expected=expected, found=repr(members[arm]))
        members[arm] = {"name": members[arm], "parameters": members.pop(f"{arm}_parameters")}
    return members


def _check_not_cached(config: Mapping[str, Any]) -> None:
    expected = "false, since a cache would answer a client with the decision or the dry run of another one"
    enabled = bool(config.get("response_cache", {}).get("enable"))
    require(not enabled, "response_cache.enable", expected, "true", fix="enable it in the variants instead")


def _check_not_warmed_up(config: Mapping[str, Any]) -> None:
    expected = "none, since Triton would send it before the router can call a variant"
    found = len(config.get("model_warmup", ()))
    require(not found, "model_warmup", expected, found, fix="declare it in the variants instead")


def _check_not_decoupled(config: Mapping[str, Any]) -> None:
    decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled"))
    path, expected = "model_transaction_policy.decoupled", "false, since a router answers each request once"
    require(not decoupled, path, expected, "true", fix="remove it")


def _check_outputs(name: str, optional: Collection[str], signature: Signature) -> None:
    """Check that the outputs that may be missing are outputs of the variants."""
    known = [output.name for output in signature.outputs]
    for output in sorted(optional):
        if output not in known:
            raise ConfigurationError(
                where=f"model '{name}', {CONFIG_FILE}",
                path="optional_outputs",
                expected=f"outputs of the variants, {', '.join(known)}",
                found=f"'{output}'",
                hint=nearest(output, known),
            )


def _common_signature(name: str, variants: Sequence[RepositoryVariant]) -> Signature:
    try:
        return common_signature({each.variant.name: each.signature for each in variants})
    except ConfigurationError as error:
        raise error.at(f"model '{name}', {CONFIG_FILE}") from None


def _check_own(name: str, config: Mapping[str, Any], variant: Variant, signature: Signature) -> None:
    """Check the tensors that the router's config.pbtxt declares against those of the variants."""
    where = f"model '{name}', {CONFIG_FILE}"
    completed = Signature.of(config, where).completed_by(signature)
    fix = f"correct it in '{name}', or leave out its inputs and outputs"
    check_agreement(name, completed, variant.name, signature, fix)
    found, largest = completed.max_batch_size, signature.max_batch_size
    expected = f"at most {largest}, the largest of its variants"
    fix = "lower it, or leave it out"
    require(found <= largest, "max_batch_size", expected, found, where=where, fix=fix)
