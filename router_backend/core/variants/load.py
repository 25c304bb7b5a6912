"""What is in flight at one variant, the wait that this causes, and the variant's utilization."""

from collections import deque
from math import exp, inf

from router_backend.core.learning.overtaking import BlockingDetector, OvertakingDetector


class Place:
    """One request's place in flight at a variant.

    Args:
        predicted_ms: its predicted service time.
        dispatched_s: when it was sent to the variant.

    Attributes:
        queued: whether the variant was busy when it was sent, so that it had to wait.
        started_s: when the variant began to serve it, as far as is known; `None` if it has not.
        is_void: whether it no longer counts, because the variant was loaded again since.
    """

    __slots__ = ("dispatched_s", "is_void", "predicted_ms", "queued", "started_s")

    def __init__(self, predicted_ms: float, dispatched_s: float) -> None:
        self.predicted_ms = predicted_ms
        self.dispatched_s = dispatched_s
        self.queued = False
        self.started_s: float | None = None
        self.is_void = False


WINDOW_S = 2.0
MIN_SPREAD = 0.1
MAX_SPREAD = 1.0
MEAN_STEP = 0.03


class Load:
    """The queue of a variant that serves `concurrency` requests at once, first come first served.

    The router sees every request, so it knows when each one starts, which separates service from waiting: at
    once while fewer than `concurrency` run, otherwise when one before it leaves.

    The wait of a new request is 0 while an instance is free; otherwise the work in flight divided by the
    concurrency, minus the work that the other instances still have when the first becomes free (half a
    service each). The remaining time of a running request is its prediction minus its running time; one that
    is overdue is expected to take that long again; at least a share of the prediction always remains: the
    standard deviation of ln(observed / predicted), which is about the mean residual life of a log-normal
    time that has reached its mean.

    Utilization is the service time dispatched in the last 2 s (exponentially faded) per instance.

    Args:
        concurrency: how many requests it is configured to serve at once.

    Attributes:
        concurrency: how many it serves at once; grows when requests overtake each other, and falls again, to
            what is configured at the lowest, when they no longer do although they should.
        in_flight: requests that are routed to the variant and not finished.
        running: the requests that are being served, as far as the router knows.
        waiting: those that wait, in the order in which they were sent.
        mean_service_ms: exponentially weighted mean of the predicted service times of what was sent here.
    """

    __slots__ = (
        "_blocking",
        "_configured",
        "_left_s",
        "_overtaking",
        "_updated_s",
        "_utilization",
        "_waiting_ms",
        "concurrency",
        "in_flight",
        "mean_service_ms",
        "running",
        "waiting",
    )

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self._configured = concurrency
        self._overtaking = OvertakingDetector()
        self._blocking = BlockingDetector()
        self._left_s = -inf
        self.running: list[Place] = []
        self.waiting: deque[Place] = deque()
        self.in_flight = 0
        self._waiting_ms = 0.0
        self._utilization = 0.0
        self._updated_s = 0.0
        self.mean_service_ms = 0.0

    def wait_ms(self, now_s: float, spread: float = MIN_SPREAD) -> float:
        """Return the predicted wait of a request that is sent now.

        Args:
            now_s: the time.
            spread: the standard deviation of ln(observed / predicted), of the service times.
        """
        running = self.running
        if len(running) < self.concurrency:
            return 0.0
        total_ms = 0.0
        soonest_ms = inf
        for place in running:
            remaining_ms = self._remaining_ms(place, now_s, spread)
            total_ms += remaining_ms
            soonest_ms = min(soonest_ms, remaining_ms)
        if not self.waiting:
            return soonest_ms
        total_ms += self._waiting_ms
        others_busy_ms = 0.5 * (self.concurrency - 1) * self._waiting_ms / len(self.waiting)
        return max(soonest_ms, (total_ms - others_busy_ms) / self.concurrency)

    def work_ms(self) -> float:
        """Return the predicted service time of all that is in flight, for each instance.

        Unlike `wait_ms`, it does not grow with the age of a call that is never answered.
        """
        return (self._waiting_ms + sum(place.predicted_ms for place in self.running)) / self.concurrency

    def longest_ms(self, now_s: float) -> float:
        """Return for how long the oldest running request has been served; 0 if none is."""
        return _ran_s(self.running[0], now_s) * 1e3 if self.running else 0.0

    def utilization(self, now_s: float) -> float:
        """Return the service time dispatched in the last seconds per instance; above 1 in overload."""
        elapsed_s = now_s - self._updated_s
        if elapsed_s <= 0.0:
            return self._utilization
        return self._utilization * exp(-elapsed_s / WINDOW_S)

    def enter(self, predicted_ms: float, now_s: float) -> Place:
        """Reserve a place for a request that is sent now."""
        added = predicted_ms / (WINDOW_S * 1e3 * self.concurrency)
        self._utilization = self.utilization(now_s) + added
        self._updated_s = now_s
        step = MEAN_STEP if self.mean_service_ms else 1.0
        self.mean_service_ms += step * (predicted_ms - self.mean_service_ms)
        place = Place(predicted_ms, now_s)
        self.in_flight += 1
        if len(self.running) < self.concurrency:
            place.started_s = now_s
            self.running.append(place)
        else:
            place.queued = True
            self.waiting.append(place)
            self._waiting_ms += predicted_ms
        return place

    def leave(self, place: Place, now_s: float, *, answered: bool) -> None:
        """Free a place, so that the first waiting request starts; `answered` if the variant finished."""
        if place.is_void:
            return
        self.in_flight -= 1
        if place.started_s is None:
            self.waiting.remove(place)
            self._waiting_ms -= place.predicted_ms
            if answered:
                self._overtaking.overtook(now_s, place.predicted_ms)
            return
        running = self.running
        oldest, youngest = place is running[0], running[-1]
        running.remove(place)
        if answered and running and self.concurrency > self._configured:
            self._judge_order(place, youngest, now_s)
        if oldest and self._overtaking.oldest_left(now_s):
            self.concurrency += 1
        while self.waiting and len(running) < self.concurrency:
            self._start_next(now_s)

    def clear(self) -> list[Place]:
        """Forget what is in flight, because the variant was loaded again, and return these places."""
        places = [*self.running, *self.waiting]
        for place in places:
            place.is_void = True
        self.running.clear()
        self.waiting.clear()
        self.in_flight = 0
        self._waiting_ms = 0.0
        return places

    def _judge_order(self, left: Place, youngest: Place, now_s: float) -> None:
        """Learn from which running request left first; assume fewer at once if others were not served."""
        running, since_s = self.running, self._left_s
        self._left_s = now_s
        if left is youngest:
            self._blocking.overtook(len(running) + 1)
            return
        ran_s = _ran_s(youngest, now_s)
        if ran_s > now_s - since_s or not left.predicted_ms:
            return  # the youngest may have started when another one left before
        expected_s = _ran_s(left, now_s) * youngest.predicted_ms / left.predicted_ms
        bound = self._blocking.blocked(len(running) + 1, ran_s, expected_s)
        if bound is not None:
            self.concurrency = max(self._configured, bound)
            while len(running) >= self.concurrency:
                self._back_to_queue(running.pop())

    def _back_to_queue(self, place: Place) -> None:
        """Let a request that was assumed to run wait before all others."""
        place.started_s = None
        place.queued = True
        self.waiting.appendleft(place)
        self._waiting_ms += place.predicted_ms

    def _start_next(self, now_s: float) -> None:
        place = self.waiting.popleft()
        self._waiting_ms = self._waiting_ms - place.predicted_ms if self.waiting else 0.0
        # The departure may be recorded late: this request may have been sent after it.
        place.started_s = max(place.dispatched_s, now_s)
        self.running.append(place)

    def _remaining_ms(self, place: Place, now_s: float, spread: float) -> float:
        predicted_ms = place.predicted_ms
        remaining_ms = predicted_ms - _ran_s(place, now_s) * 1e3
        spread = min(max(spread, MIN_SPREAD), MAX_SPREAD)
        return max(abs(remaining_ms), spread * predicted_ms)


def _ran_s(place: Place, now_s: float) -> float:
    return 0.0 if place.started_s is None else now_s - place.started_s
