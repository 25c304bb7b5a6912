"""What the models of one router share."""

import random
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from router_backend.core.choosing.filters import Filter
from router_backend.core.variants.capacity import Capacity


class Environment(NamedTuple):
    """What the models of one router share.

    Args:
        lock: guards all of them; not held while a variant is called.
        clock: returns monotonic seconds; the only source of time.
        rng: the only source of randomness.
        capacity: counts what is in flight on devices that have limits.
        filters: decide which variants may serve a request.
    """

    lock: threading.Lock
    clock: Callable[[], float]
    rng: random.Random
    capacity: Capacity
    filters: Sequence[Filter]
