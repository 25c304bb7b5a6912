"""Where a unit falls: a number from a hash that every process and every start of it gives alike."""

import hashlib

SCALE = 2.0**-64


class UnitHash:
    """Points in [0, 1) for units, spread evenly, and independent between salts.

    BLAKE2b rather than a checksum: the CRC-32s of one unit under two salts differ by a constant, so that the
    arms of two experiments would go together.

    Args:
        salt: what the points are for.

    Examples:
        >>> arm = UnitHash("new_algorithm_v2")
        >>> arm.point("user-1") == UnitHash("new_algorithm_v2").point("user-1")
        True
    """

    __slots__ = ("_salted",)

    def __init__(self, salt: str) -> None:
        # The zero byte keeps the salt "a" with the unit "bc" apart from the salt "ab" with the unit "c".
        self._salted = hashlib.blake2b(salt.encode() + b"\0", digest_size=8)

    def point(self, unit: str) -> float:
        """The unit's point."""
        salted = self._salted.copy()
        salted.update(unit.encode())
        # Only 53 bits fit a float: the last ones are dropped, lest they be rounded up to 1.
        return (int.from_bytes(salted.digest(), "big") >> 11 << 11) * SCALE
