"""Which requests measure a variant when it becomes ready, so that clients' requests need not."""

from collections import deque
from collections.abc import Iterator
from math import prod

from router_backend.config.load import RouterSetup
from router_backend.config.repository import Signature, TensorSpec
from router_backend.core.records.request import RoutingContext
from router_backend.core.router import ModelRouter

BYTES = "TYPE_STRING"
NOT_IN_NUMPY = "TYPE_BF16"


class WarmupPlan:
    """The variants that wait to be measured with a few batches of zeros, each while it is idle.

    Synthetic strings and open dimensions would not be representative: a model that has them is measured by
    copies of clients' requests instead.
    """

    IDLE_WITHIN_S = 1.0  # a variant that is busy for longer learns from its requests
    PAUSE_S = 0.01
    MOST_FURTHER = 3
    """Requests for an answer that showed those before it to be cold calls: another one has to confirm it."""

    def __init__(self, model: RouterSetup, router: ModelRouter) -> None:
        self._model = model
        self._router = router
        self._variants = {variant.name: variant for variant in model.variants}
        self._batch_sizes = model.parameters.warmup_batch_sizes
        self._waiting: deque[str] = deque()

    @property
    def waiting(self) -> bool:
        """Whether there are variants to measure."""
        return bool(self._waiting)

    def add(self, variant: str) -> None:
        """Queue a variant, unless it is known or its inputs cannot be synthesized.

        Fewer answers than a warm-up has may all include the variant's initialization.
        """
        state = self._router.model(self._model.name).state(variant)
        known = state.answers >= len(self._batch_sizes)
        if not known and all(map(_can_be_synthesized, self._model.signature.inputs)):
            self._waiting.append(variant)

    def take(self) -> str:
        """Return the next variant to measure, which no longer waits."""
        return self._waiting.popleft()

    def contexts(self, variant: str) -> Iterator[RoutingContext]:
        """Return the requests that measure a variant, in order; ask for each one after the last has ended."""
        for batch_size in self._batch_sizes[:1] + self._batch_sizes:  # the first call is usually slow
            yield self._context(variant, batch_size)
        latency = self._router.model(self._model.name).state(variant).profile.latency
        for batch_size in self._batch_sizes[-1:] * self.MOST_FURTHER:
            if latency.known:
                return
            yield self._context(variant, batch_size)

    def _context(self, variant: str, batch_size: int) -> RoutingContext:
        signature = self._model.signature
        size = min(batch_size, self._variants[variant].max_batch_size or 1)
        return RoutingContext(  # served even if late: a variant that is too slow must be measured, too
            size if signature.max_batch_size > 0 else 1,
            sum(prod(synthetic_shape(tensor, signature, size)) for tensor in signature.inputs),
            allowed_variants=frozenset({variant}),
            refuse_late=False,
            warmup=True,
        )

    def is_idle(self, variant: str) -> bool:
        """Return whether a variant has no requests in flight."""
        return not self._router.model(self._model.name).state(variant).load.in_flight


def synthetic_shape(tensor: TensorSpec, signature: Signature, batch_size: int) -> tuple[int, ...]:
    """Return the shape of a synthetic input: 1 for open dimensions."""
    batch = (batch_size,) if signature.max_batch_size > 0 else ()
    return (*batch, *(max(dim, 1) for dim in tensor.dims))


def _can_be_synthesized(tensor: TensorSpec) -> bool:
    return tensor.data_type not in (BYTES, NOT_IN_NUMPY) and min(tensor.dims, default=1) > 0
