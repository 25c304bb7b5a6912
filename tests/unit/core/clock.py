"""A clock that only the test advances."""


class Clock:
    """Call it to get the time; assign `now_s` to change it."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s
