"""One request at a variant of the world, whoever sent it."""

from collections.abc import Mapping

from router_backend.core.records.outcome import Fault


class Job:
    """One request at a variant; as it stands, one that nobody waits for.

    Args:
        batch_size: how many items it holds.
        sequence_length: how long they are.
        work_s: by variant, its true service time when served alone and undisturbed.

    Attributes:
        started_s: when its service began at the variant that it is at.
    """

    __slots__ = ("batch_size", "sequence_length", "started_s", "work_s")

    def __init__(self, batch_size: int, sequence_length: int, work_s: Mapping[str, float]) -> None:
        self.batch_size = batch_size
        self.sequence_length = sequence_length
        self.work_s = work_s
        self.started_s = 0.0

    def answered(self) -> None:
        """It was served, at the present time."""

    def failed(self, fault: Fault) -> None:
        """It failed, at the present time."""
