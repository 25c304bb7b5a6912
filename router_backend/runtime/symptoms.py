"""Which errors of a call are Triton's own, and what they say of the variant."""

import re
from pathlib import Path

from router_backend.config.model_config import read_model_config


class Symptoms:
    """Tells Triton's word on a variant from what the variant itself has to say.

    The texts are Triton's, whole and with the names of this variant: whatever else is in an error is for the
    client to read. A variant that is a router, or calls other models, may well tell of these.

    Args:
        variant: its name.
        group_names: the names that its config.pbtxt gives to its instance groups.
    """

    def __init__(self, variant: str, group_names: tuple[str, ...] = ()) -> None:
        name = re.escape(variant)
        # The second text is that of a model which was unloaded between the check and the call.
        self._not_ready = re.compile(
            rf"Model {name} - Error when running inference: "
            rf"(Failed for execute the inference request\. Model '{name}' is not ready\."
            rf"|Request for unknown model: '{name}' .*)"
        )
        # An instance has the name of its group and a number; a model without groups gets one of its own name.
        groups = "|".join([rf"{name}(_\d+)?", *map(re.escape, group_names)])
        self._dead = re.compile(rf"Stub process '({groups})_\d+' is not healthy\.")

    @classmethod
    def of(cls, variant: str, repository: Path) -> "Symptoms":
        """Those of a variant in a repository.

        Raises:
            ConfigurationError: its config.pbtxt cannot be read.
        """
        groups = read_model_config(repository / variant).instance_group
        return cls(variant, tuple(group.name for group in groups if group.name))

    def is_not_ready(self, message: str) -> bool:
        """Whether an error says that Triton has not loaded the variant."""
        return self._not_ready.fullmatch(message) is not None

    def is_dead(self, message: str) -> bool:
        """Whether an error says that the variant's process has ended."""
        return self._dead.fullmatch(message) is not None
