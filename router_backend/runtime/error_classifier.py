"""Classifies the error of a call. Triton's own errors can only be recognized by their text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from router_backend.config.repository import read_model_config
from router_backend.core.records.outcome import Fault

STATUS_OF_CODE = {"INVALID_ARG": "INVALID_ARGUMENT", "UNSUPPORTED": "UNIMPLEMENTED"}
"""The gRPC status for a code of Triton's errors, where it is not the code's own name."""
CODE_OF_STATUS = {status: code for code, status in STATUS_OF_CODE.items()}
"""What Triton's API calls a gRPC status, where it is not the status's own name."""
CODES = ("ALREADY_EXISTS", "CANCELLED", "INVALID_ARG", "NOT_FOUND", "UNAVAILABLE", "UNKNOWN", "UNSUPPORTED")
FAULT_OF_STATUS = {
    "INVALID_ARGUMENT": Fault.REJECTED,
    "UNIMPLEMENTED": Fault.UNSUPPORTED,
    "NOT_FOUND": Fault.UNSUPPORTED,
    "ALREADY_EXISTS": Fault.UNSUPPORTED,
}
"""What an error of a variant means, by its gRPC status; any other, UNAVAILABLE included, is an ERROR."""
STATED_CODE = re.compile(rf"({'|'.join(CODES)}): ")
INTERNAL = "INTERNAL"
WRONG_ANSWER = "WRONG_ANSWER"
"""The code that a host gives to an answer which is not what the router's configuration declares."""


class Failure(NamedTuple):
    """How a variant failed a call: the kind, its message, and the gRPC status of its error."""

    fault: Fault
    message: str
    status: str


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

    def classify_call(self, variant: str, message: str, code: str, reached: bool) -> Failure:
        """Return how a variant failed a call, if the host knows whether the call `reached` it."""
        if not reached:
            return Failure(Fault.NOT_READY, message, INTERNAL)
        return self.classify(variant, message, code)

    def classify(self, variant: str, message: str, code: str) -> Failure:
        """Return what a variant's error message and Triton's code for it stand for.

        Before 25.04, Triton gives the code INTERNAL to every error of a called model. A message that begins
        with another code, as in `INVALID_ARG: no negatives`, then still states it.
        """
        if code == WRONG_ANSWER:
            return Failure(Fault.WRONG_ANSWER, message, INTERNAL)
        if self._not_ready[variant].fullmatch(message):
            return Failure(Fault.NOT_READY, message, INTERNAL)
        if self._dead[variant].fullmatch(message):
            return Failure(Fault.DEAD, message, INTERNAL)
        stated = STATED_CODE.match(message) if code == INTERNAL else None
        status = STATUS_OF_CODE.get(stated[1], stated[1]) if stated else STATUS_OF_CODE.get(code, code)
        return Failure(FAULT_OF_STATUS.get(status, Fault.ERROR), message, status)


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
