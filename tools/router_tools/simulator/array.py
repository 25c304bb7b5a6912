"""Type of numpy arrays."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""A numpy array; its contents are documented where it is used."""
