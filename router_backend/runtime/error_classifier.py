"""Classifies the error of a call. Triton's own errors can only be recognized by their text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from router_backend.config.repository import read_model_config
from router_backend.core.records.outcome import Fault


class ErrorClassifier:
    """Distinguishes Triton's errors about a variant from the variant's own errors.

    The whole text must match, with the variant's own name: a variant that calls other models may well pass
    on their errors. `group_names` are those of the instance groups in config.pbtxt, by variant.
    """

    def __init__(self, group_names: Mapping[str, Sequence[str]]) -> None:
        self._not_ready = {variant: _not_ready_pattern(variant) for variant in group_names}
        self._dead = {variant: _dead_pattern(variant, names) for variant, names in group_names.items()}

    @classmethod
    def of(cls, variants: Iterable[str], repository: Path) -> ErrorClassifier:
        """Return the classifier for variants of a repository.

        Raises:
            ConfigurationError: a variant's config.pbtxt cannot be read.
        """
        groups = {variant: read_model_config(repository / variant).instance_group for variant in variants}
        return cls({variant: [group.name for group in of if group.name] for variant, of in groups.items()})

    def classify(self, variant: str, message: str) -> Fault:
        """Return the kind of fault that a variant's error message stands for."""
        if self._not_ready[variant].fullmatch(message):
            return Fault.NOT_READY
        return Fault.DEAD if self._dead[variant].fullmatch(message) else Fault.ERROR


def _not_ready_pattern(variant: str) -> re.Pattern[str]:
    name = re.escape(variant)
    # The second text is for a model that was unloaded between the check and the call.
    return re.compile(
        rf"Model {name} - Error when running inference: "
        rf"(Failed for execute the inference request\. Model '{name}' is not ready\."
        rf"|Request for unknown model: '{name}' .*)"
    )


def _dead_pattern(variant: str, group_names: Sequence[str]) -> re.Pattern[str]:
    # An instance has the name of its group and a number; the default group is named after the model.
    groups = "|".join([rf"{re.escape(variant)}(_\d+)?", *map(re.escape, group_names)])
    return re.compile(rf"Stub process '({groups})_\d+' is not healthy\.")
