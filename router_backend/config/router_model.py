"""A router model's configuration as a whole: parameters, variants and the tensors they share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router_backend.config.fit import check_fit
from router_backend.config.parameters import RouterParameters, read_parameters
from router_backend.config.routing_config import RoutingConfig
from router_backend.config.routing_file import RoutingFile, read_routing_file
from router_backend.config.signature import Signature, TensorSpec, check_agreement, common_signature
from router_backend.config.variants import find_variants
from router_backend.core.records.variant import Variant
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError

DECISION_OUTPUT = TensorSpec("routing_decision", "TYPE_STRING", (1,))
"""The output that tells what was decided; only requests that ask for it get it."""


@dataclass(frozen=True, slots=True)
class RouterModel:
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
        """What holds where its own settings say nothing."""
        return RoutingConfig() if self.routing_file is None else self.routing_file.config

    @property
    def decision(self) -> ModelSettings:
        """The settings of the deciding part."""
        return self.parameters.decision(self.name, self.routing)

    def check_fit(self, routing: RoutingConfig) -> None:
        """Hold what its settings, or else a routing configuration, choose by against its variants.

        Args:
            routing: what its routing file holds, or is about to.

        Raises:
            ConfigurationError: a policy is for a variant that it has not, or two experiments want the same
                requests.
        """
        source = "" if self.routing_file is None else str(self.routing_file.path)
        names = [variant.name for variant in self.variants]
        check_fit(self.name, names, self.parameters, routing, source)


def read_router_model(config: Mapping[str, Any], repository: Path) -> RouterModel:
    """Validate a router model's configuration against its parameters and its variants.

    Args:
        config: the model configuration in its JSON form, complete or not.
        repository: the folder that holds the router model and its variants.

    Raises:
        ConfigurationError: whatever is wrong with it.
    """
    name = config["name"]
    texts = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
    parameters = read_parameters(name, texts)
    routing_file = _read_routing_file(parameters, repository / name)
    found = find_variants(name, parameters.variants, repository)
    signature = common_signature({each.variant.name: each.signature for each in found})
    _check_own(name, Signature.of(config).without_output(DECISION_OUTPUT.name), found[0].variant, signature)
    model = RouterModel(
        name, repository, parameters, tuple(each.variant for each in found), signature, routing_file
    )
    model.check_fit(model.routing)
    return model


def check_completed(config: Mapping[str, Any], model: RouterModel) -> None:
    """Refuse a configuration that was not completed, with which Triton would let no request pass.

    Raises:
        ConfigurationError: it declares no inputs or no outputs.
    """
    if not config.get("input") or not config.get("output"):
        raise ConfigurationError(
            f"model '{model.name}', config.pbtxt: expected input and output, found none, and this Triton "
            f"does not complete configurations: declare them as '{model.variants[0].name}' does, or start "
            f"Triton without --disable-auto-complete-config"
        )


def _read_routing_file(parameters: RouterParameters, folder: Path) -> RoutingFile | None:
    path = parameters.routing_config
    return None if path is None else read_routing_file(Path(os.path.normpath(folder / path)))


def _check_own(name: str, own: Signature, variant: Variant, signature: Signature) -> None:
    """What the router's config.pbtxt declares of its tensors must be what the variants have."""
    completed = Signature(
        own.inputs or signature.inputs,
        own.outputs or signature.outputs,
        own.max_batch_size or signature.max_batch_size,
    )
    check_agreement(name, completed, variant.name, signature)
    if completed.max_batch_size > signature.max_batch_size:
        raise ConfigurationError(
            f"model '{name}', config.pbtxt: max_batch_size is {completed.max_batch_size}, but the largest of "
            f"its variants' is {signature.max_batch_size}: lower it, or leave it out"
        )
