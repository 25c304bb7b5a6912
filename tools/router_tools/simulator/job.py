"""One request at a variant of the world."""

from collections.abc import Mapping
from types import MappingProxyType

from router_backend.core.records.outcome import Fault

NO_LUCK: Mapping[str, float] = MappingProxyType({})


class Job:
    """One request at a variant. This base class ignores the result, as for requests that bypass the router.

    Args:
        batch_size: the number of items.
        sequence_length: the sequence length of the items.
        work_s: by variant, the true service time if served alone and without events.
        luck: by variant that may fail it, a number from 0 to 1: it fails if the share of failures is above.

    Attributes:
        started_s: when its service started at the current variant.
    """

    __slots__ = ("batch_size", "luck", "sequence_length", "started_s", "work_s")

    def __init__(
        self,
        batch_size: int,
        sequence_length: int,
        work_s: Mapping[str, float],
        luck: Mapping[str, float] = NO_LUCK,
    ) -> None:
        self.batch_size = batch_size
        self.sequence_length = sequence_length
        self.work_s = work_s
        self.luck = luck
        self.started_s = 0.0

    def answered(self) -> None:
        """Handle that it was served, at the current time."""

    def failed(self, fault: Fault) -> None:
        """Handle that it failed, at the current time."""
