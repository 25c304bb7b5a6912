"""Events in the file of a world: periods in which a variant behaves differently, and stalls."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section
from router_tools.simulator.schema.common import Moment, Name, NonNegative, Positive


class PeriodFile(Section, frozen=True, kw_only=True):
    """A period of a run in which a variant behaves differently.

    Args:
        variant: its name.
        begin: when it begins, as a share of the run.
        end: when it ends.
    """

    variant: Name
    begin: Moment = field(name="from")
    end: Moment = field(name="to")

    def __post_init__(self) -> None:
        """Reject a period that ends before it begins."""
        if self.end <= self.begin:
            expected = f"more than 'from' ({self.begin:g})"
            raise ConfigurationError(path="to", expected=expected, found=f"{self.end:g}")


class DriftFile(PeriodFile, frozen=True, kw_only=True):
    """A period in which a variant is slower, for example by heat or a lower clock rate.

    Args:
        factor: the factor by which service takes longer.
    """

    factor: Annotated[float, Meta(gt=0, le=1_000_000)]


class OutageFile(PeriodFile, frozen=True, kw_only=True):
    """A period in which a variant fails every request.

    Args:
        error_ms: how long a call takes to fail; 1 ms if left out, 1 s if the process is dead.
        dead: the process died: Triton keeps each call for a second and then says so.
    """

    error_ms: NonNegative | UnsetType = UNSET
    dead: bool = False


class FailuresFile(PeriodFile, frozen=True, kw_only=True):
    """A period in which a variant fails some of its requests, each after its service time.

    Args:
        share: the share of requests that fail, at random.
    """

    share: Annotated[float, Meta(gt=0, le=1)]


class StallsFile(Section, frozen=True, kw_only=True):
    """A variant that stalls for a moment at random times.

    Args:
        variant: its name.
        every_s: mean time between stalls (exponential).
        mean_ms: mean length of a stall (exponential).
    """

    variant: Name
    every_s: Positive
    mean_ms: Positive
