"""Reads and writes `routing.json`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from router_backend.path_kind import decode_text, read_bytes
from router_backend.typed_load import decode_json, given, load
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import (
    ExperimentSection,
    GuardrailsSection,
    LimitsSection,
    PolicyChoice,
    RoutingDocument,
    StepSection,
)
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.policies.registry import PolicySource
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import ConfigurationError

SCHEMA = Path(__file__).parent / "routing.schema.json"


@dataclass(frozen=True, slots=True)
class RoutingFile:
    """A routing configuration, and the file that it is from.

    Args:
        path: where the file is.
        content: its bytes.
        config: what these say.
    """

    path: Path
    content: bytes
    config: RoutingConfig


def read_routing_file(path: Path) -> RoutingFile:
    """Read the routing configuration in a file.

    Raises:
        ConfigurationError: it cannot be read, or everything that is wrong in it.
    """
    content = read_content(path)
    return RoutingFile(path, content, parse_routing(str(path), content))


def read_content(path: Path) -> bytes:
    """Return the content of a routing configuration.

    Raises:
        ConfigurationError: there is no such file, or it cannot be read.
    """
    return read_bytes(path, "a routing configuration")


def parse_routing(source: str, content: bytes) -> RoutingConfig:
    """Return the routing configuration in the content of a file.

    Args:
        source: the file, for the messages.
        content: JSON in UTF-8.

    Raises:
        ConfigurationError: everything that is wrong in it.
    """
    document = load(RoutingDocument, decode_json(source, decode_text(source, content)), source)
    try:
        return RoutingConfig(
            default_policy=document.default_policy,
            rules=document.rules,
            device_weights=document.device_weights,
            device_limits={device: DeviceLimits(**given(x)) for device, x in document.device_limits.items()},
            experiments=tuple(each.experiment() for each in document.experiments),
            profiling=document.profiling,
        )
    except ConfigurationError as error:
        raise error.at(source) from None


def to_json(config: RoutingConfig) -> str:
    """Return the text of a file that is read as this configuration.

    Raises:
        ConfigurationError: an arm of an experiment is a class or a function.
    """
    limits = {device: LimitsSection(**_without_none(asdict(x))) for device, x in config.device_limits.items()}
    document = RoutingDocument(
        default_policy=config.default_policy,
        rules=config.rules,
        device_weights=config.device_weights,
        device_limits=limits,
        experiments=tuple(map(_section, config.experiments)),
        profiling=config.profiling,
    )
    return (
        msgspec.json.format(
            msgspec.json.encode(document, enc_hook=dict, order="deterministic"), indent=2
        ).decode()
        + "\n"
    )


def _section(experiment: Experiment) -> ExperimentSection:
    guardrails = experiment.guardrails
    return ExperimentSection(
        experiment_id=experiment.experiment_id,
        control=_choice(experiment, experiment.control, experiment.control_parameters),
        treatment=_choice(experiment, experiment.treatment, experiment.treatment_parameters),
        fraction=experiment.fraction,
        model_name_pattern=experiment.model_name_pattern,
        assign_by=experiment.assign_by,
        unit_range=experiment.unit_range,
        rollout=tuple(StepSection(**asdict(step)) for step in experiment.rollout),
        guardrails=None if guardrails is None else GuardrailsSection(**asdict(guardrails)),
    )


def _choice(experiment: Experiment, policy: PolicySource, parameters: Mapping[str, str]) -> PolicyChoice:
    if not isinstance(policy, str):
        raise ConfigurationError(
            where=f"experiment '{experiment.experiment_id}'",
            expected="policies by name, which is what a file can hold",
            found=repr(policy),
        )
    return PolicyChoice(policy, parameters)


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
