"""Which units have had an event already, in a fixed amount of memory."""

from zlib import crc32


class FirstEvents:
    """Finds the first event of each unit.

    All requests of a unit get one arm, so its further events say nothing new about the arms. Units share
    65,536 bits, and a unit whose bit is taken counts as known; when half of the bits are taken, all units
    are forgotten. A request without a unit is a unit of its own.

    Examples:
        >>> events = FirstEvents()
        >>> [events.is_first(unit) for unit in ("user-1", "user-2", "user-1", "", "")]
        [True, True, False, True, True]
    """

    BITS = 1 << 16

    __slots__ = ("_bits", "_taken")

    def __init__(self) -> None:
        self._forget()

    def is_first(self, unit: str) -> bool:
        """Note an event of a unit; return whether it is the first."""
        if not unit:
            return True
        place, bit = divmod(crc32(unit.encode()) % self.BITS, 8)
        if self._bits[place] & 1 << bit:
            return False
        if self._taken >= self.BITS // 2:
            self._forget()
        self._bits[place] |= 1 << bit
        self._taken += 1
        return True

    def _forget(self) -> None:
        self._bits = bytearray(self.BITS // 8)
        self._taken = 0
