"""A router model's configuration as a whole: parameters, variants and the tensors they share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router_backend.typed_load import load_texts
from router_backend.config.resolve import RoutingConfig, check_fit
from router_backend.config.routing_file import RoutingFile, read_routing_file
from router_backend.config.schema import RouterParameters
from router_backend.config.signature import Signature, TensorSpec, check_agreement, common_signature
from router_backend.config.variants import find_variants
from router_backend.core.records.variant import Variant
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError, Problems

DECISION_OUTPUT = TensorSpec("routing_decision", "TYPE_STRING", (1,))
"""The output that tells what was decided; only requests that ask for it get it."""


@dataclass(frozen=True, slots=True)
class RouterSetup:
    """All that a router model needs to know before it serves.

    Args:
        name: the logical model.
        repository: the folder that holds the router model and its variants.
        parameters: its own settings.
        variants: the models that can serve it.
        signature: the tensors that all of them take and give.
        routing_file: the routing configuration that it follows; None: none.
    """

    name: str
    repository: Path
    parameters: RouterParameters
    variants: tuple[Variant, ...]
    signature: Signature
    routing_file: RoutingFile | None

    @property
    def routing(self) -> RoutingConfig:
        """The routing configuration that applies where its own settings say nothing."""
        return RoutingConfig() if self.routing_file is None else self.routing_file.config

    @property
    def settings(self) -> ModelSettings:
        """The settings that apply."""
        return self.routing.settings_for(self.name, self.parameters)

    def check_fit(self, routing: RoutingConfig) -> None:
        """Check the policies that its settings or a routing configuration name against its variants.

        Args:
            routing: the content of its routing file, applied or not yet.

        Raises:
            ConfigurationError: a policy is for a variant that it does not have, or two experiments compete
                for the same requests.
        """
        source = "" if self.routing_file is None else str(self.routing_file.path)
        names = [variant.name for variant in self.variants]
        check_fit(self.name, names, self.parameters, routing, source)


def read_router_setup(config: Mapping[str, Any], repository: Path) -> RouterSetup:
    """Validate a router model's configuration against its parameters and its variants.

    Args:
        config: the model configuration in its JSON form, complete or not.
        repository: the folder that holds the router model and its variants.

    Raises:
        ConfigurationError: everything that is wrong with it.
    """
    name = config["name"]
    texts = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
    parameters = read_parameters(name, texts)
    problems = Problems()
    with problems.collect():
        routing_file = _read_routing_file(parameters, repository / name)
    with problems.collect():
        found = find_variants(name, parameters.variants, repository)
        signature = common_signature({each.variant.name: each.signature for each in found})
        own = Signature.of(config).without_output(DECISION_OUTPUT.name)
        _check_own(name, own, found[0].variant, signature)
    problems.raise_if_any()
    model = RouterSetup(
        name, repository, parameters, tuple(each.variant for each in found), signature, routing_file
    )
    model.check_fit(model.routing)
    return model


def read_parameters(model_name: str, texts: Mapping[str, str]) -> RouterParameters:
    """Return the parameters of a router model.

    Raises:
        ConfigurationError: everything that is wrong with them.
    """
    return load_texts(RouterParameters, texts, f"model '{model_name}', config.pbtxt")


def check_completed(config: Mapping[str, Any], model: RouterSetup) -> None:
    """Reject a configuration that was not completed, with which Triton would accept no request.

    Raises:
        ConfigurationError: it declares no inputs or no outputs.
    """
    if not config.get("input") or not config.get("output"):
        raise ConfigurationError(
            where=f"model '{model.name}', config.pbtxt",
            expected="input and output, since this Triton does not complete configurations",
            found="none",
            fix=f"declare them as '{model.variants[0].name}' does, or start Triton without "
            f"--disable-auto-complete-config",
        )


def _read_routing_file(parameters: RouterParameters, folder: Path) -> RoutingFile | None:
    path = parameters.routing_config
    return None if path is None else read_routing_file(Path(os.path.normpath(folder / path)))


def _check_own(name: str, own: Signature, variant: Variant, signature: Signature) -> None:
    """Check the tensors that the router's config.pbtxt declares against those of the variants."""
    completed = Signature(
        own.inputs or signature.inputs,
        own.outputs or signature.outputs,
        own.max_batch_size or signature.max_batch_size,
    )
    check_agreement(name, completed, variant.name, signature)
    if completed.max_batch_size > signature.max_batch_size:
        raise ConfigurationError(
            where=f"model '{name}', config.pbtxt",
            path="max_batch_size",
            expected=f"at most {signature.max_batch_size}, the largest of its variants",
            found=f"{completed.max_batch_size}",
            fix="lower it, or leave it out",
        )
