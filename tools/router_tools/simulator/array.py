"""Columns of numbers."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""A numpy array; what it holds is said where it is used."""
