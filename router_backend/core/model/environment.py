"""What the models of one router share."""

import random
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from router_backend.core.choosing.filters import Filter
from router_backend.core.variants.capacity import Capacity


class Environment(NamedTuple):
    """What the models of one router share, as `ModelRouter` describes it.

    The lock guards all of them, and is not held while a variant is called.
    `on_defect` receives what a policy raises while it learns.
    """

    lock: threading.Lock
    clock: Callable[[], float]
    rng: random.Random
    capacity: Capacity
    filters: Sequence[Filter]
    copies: bool
    on_defect: Callable[[BaseException], object]
