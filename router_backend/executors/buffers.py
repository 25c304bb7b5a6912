"""How this process's memory allocator treats large buffers."""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`."""
_LARGEST_BYTES = 32 * 2**20
"""The highest threshold that glibc takes."""


def keep_large_buffers() -> None:
    """Have buffers of up to 32 MB reused, rather than returned to the system and mapped again.

    Each call of another server needs several of the size of its tensors, and each new page of them a fault of
    the processor: at 2.4 MB, this takes more than twice as long as all the rest. The process then keeps up to
    64 MB that are free. Without glibc, this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_BYTES)
        mallopt(_TOP_PAD, _LARGEST_BYTES)
