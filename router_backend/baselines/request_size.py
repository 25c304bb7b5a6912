"""How large a request is, in the router's own unit."""

from router_backend.core.records.request import RoutingContext


class RequestSize:
    """x: the elements of a request relative to one item of the first request seen; without them its batch.

    Policies are told of x when an answer comes, but not when they choose; this counts as the router does.
    """

    __slots__ = ("_reference_elements",)

    def __init__(self) -> None:
        self._reference_elements = 0.0

    def of(self, context: RoutingContext) -> float:
        """The size x of this request."""
        if not context.elements:
            return float(context.batch_size)
        if self._reference_elements == 0.0:
            self._reference_elements = context.elements / context.batch_size
        return context.elements / self._reference_elements
