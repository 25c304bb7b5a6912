"""The use of one resource by a request on one variant: memory in MB, or power in W."""

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.predictor import MAX_PLAUSIBLE, MIN_PLAUSIBLE


class ResourceModel:
    """An affine function of the request's size, with a constant prior before the first measurement.

    The prior is 0 if it is unknown. The attributes are those of `LatencyModel`.

    Examples:
        >>> memory = ResourceModel(prior=100.0)
        >>> memory.predict(8)
        100.0
        >>> for x in (1, 8) * 10:
        ...     memory.update(x, 50.0 + 10.0 * x)
        >>> round(memory.predict(4))
        90
    """

    __slots__ = ("known", "law", "prior", "rejected")

    def __init__(self, prior: float = 0.0) -> None:
        self.law = AffineLaw()
        self.known = False
        self.prior = prior
        self.rejected = 0

    def update(self, x: float, value: float) -> None:
        """Learn that a request of size x used `value`."""
        if not (MIN_PLAUSIBLE <= value <= MAX_PLAUSIBLE and MIN_PLAUSIBLE <= x <= MAX_PLAUSIBLE):
            self.rejected += 1
            return
        self.law.update(x, value)
        self.known = True

    def predict(self, x: float) -> float:
        """Return the expected use of a request of size x; 0 without prior and measurements."""
        return self.law.predict(x) if self.known else self.prior
