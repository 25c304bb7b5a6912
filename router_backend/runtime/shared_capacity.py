"""Counts of what is in flight on each device, shared by the router processes of one machine."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import struct
import time
from pathlib import Path

from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import Taken
from router_backend.errors import ConfigurationError
from router_backend.runtime.private_folder import private_folder

LAYOUT = 2
"""A part of the file's name, so that routers of different versions do not share a file."""
SLOTS = 256
IN_USE = b"\1"
DEVICES = {device: row for row, device in enumerate(Device)}
WORD = 8
HEADER_WORDS = SLOTS // WORD
SIZE = WORD * (HEADER_WORDS + 2 * len(DEVICES) * SLOTS)
KIB_PER_MB = 1024
TO_THE_END = 0


def shared_file(repository: Path) -> Path:
    """Return the file that the routers of a model repository share, a separate one for each user.

    Raises:
        ConfigurationError: the folder for it cannot be created.
    """
    key = hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:16]
    return private_folder() / f"in-flight-{LAYOUT}-{key}"


def remove_unused(path: Path) -> None:
    """Remove the file if no process uses it: processes that were killed could not remove it themselves.

    A file that cannot be opened, such as a link, is left alone.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _remove_if_unused(file, path)
    finally:
        os.close(file)


class SharedCapacity:
    """The counts of all processes, as one of them sees and updates them.

    The file starts with a byte for each process, its slot: 1 while it is in use. A table of 64-bit words
    follows: for each device a row of requests and a row of memory (in KiB), with a column for each slot. A
    process writes only to its own slot, and readers add up a row; a word is written in one store, so that no
    reader sees half of one. A process owns its slot by a lock on one byte of the file, which the system
    releases when the process ends, even by a crash: a slot that can be locked belongs to no process, and its
    counts are void.

    A new process takes the first free slot. The last one to leave removes the file. Nothing waits for a lock,
    and a process may be killed or stopped at any instant: each step leaves a file that the others can use.
    Only processes of this user reach the file, see `private_folder`.

    Args:
        path: the file, created if it does not exist.

    Raises:
        ConfigurationError: the file cannot be created or opened, or all of its slots are taken.
    """

    LOOK_FOR_DEAD_EVERY_S = 0.05
    CLAIM_WITHIN_S = 2.0
    CLAIM_AGAIN_AFTER_S = 0.002

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_look_s = 0.0
        try:
            self._file, self._slot = self._claim()
            self._map = mmap.mmap(self._file, SIZE)
        except OSError as error:
            expected, fix = f"a file that routers can share at {path}", "make room there, or remove it"
            raise ConfigurationError(expected=expected, found=str(error.strerror), fix=fix) from None
        self._words = memoryview(self._map).cast("q")
        self._void(self._slot)
        self._map[self._slot] = 1

    def publish(self, device: Device, taken: Taken) -> None:
        """Publish what this process has in flight on a device."""
        requests, memory = _cells(device, self._slot)
        self._words[requests] = taken.requests
        self._words[memory] = round(taken.memory_mb * KIB_PER_MB)

    def others(self, device: Device) -> Taken:
        """Return what the other processes have in flight on a device."""
        words, slot = self._words, self._slot
        used = self._slots_used()
        requests, memory = _cells(device, 0)
        return Taken(
            sum(words[requests : requests + used]) - words[requests + slot],
            (sum(words[memory : memory + used]) - words[memory + slot]) / KIB_PER_MB,
        )

    def forget_dead(self) -> bool:
        """Void the counts of ended processes, at most once per interval; return whether there were any."""
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + self.LOOK_FOR_DEAD_EVERY_S
        suspects = [slot for slot in range(self._slots_used()) if slot != self._slot and self._holds(slot)]
        return sum(self._void_if_dead(slot) for slot in suspects) > 0

    def close(self) -> None:
        """Give the slot back; the last process removes the file."""
        self._void(self._slot)
        self._words.release()
        self._map.close()
        _unlock(self._file, self._slot)
        _remove_if_unused(self._file, self._path)
        os.close(self._file)

    def _claim(self) -> tuple[int, int]:
        """Return the open file and the slot in it that this process now owns.

        It starts again if another process removes the file at the same moment.
        """
        until_s = time.monotonic() + self.CLAIM_WITHIN_S
        while True:
            file = _open(self._path)
            slot = _lock_free_slot(file)
            if slot is not None and _is_at(file, self._path):
                return file, slot
            os.close(file)
            if time.monotonic() > until_s:
                raise ConfigurationError(
                    expected=f"at most {SLOTS} routers that share {self._path}",
                    found="more",
                    fix="use fewer instances",
                )
            time.sleep(self.CLAIM_AGAIN_AFTER_S)

    def _slots_used(self) -> int:
        return self._map[:SLOTS].rfind(IN_USE) + 1  # a search in bytes is faster than one in the map

    def _holds(self, slot: int) -> bool:
        return any(self._words[cell] for device in DEVICES for cell in _cells(device, slot))

    def _void(self, slot: int) -> None:
        self._map[slot] = 0
        for device in DEVICES:
            for cell in _cells(device, slot):
                self._words[cell] = 0

    def _void_if_dead(self, slot: int) -> bool:
        if not _try_lock(self._file, slot):
            return False
        self._void(slot)
        _unlock(self._file, slot)
        return True


def _cells(device: Device, slot: int) -> tuple[int, int]:
    """Return the words that hold a slot's requests and memory on a device."""
    requests = HEADER_WORDS + 2 * SLOTS * DEVICES[device] + slot
    return requests, requests + SLOTS


def _open(path: Path) -> int:
    """Open the file, which has its full size then."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, SIZE)  # on a full disk, a write to the map would kill this process
    except OSError:
        os.close(file)
        raise
    return file


def _lock_free_slot(file: int) -> int | None:
    return next((slot for slot in range(SLOTS) if _try_lock(file, slot)), None)


def _remove_if_unused(file: int, path: Path) -> None:
    """Remove the file unless a process owns a slot; none can take one meanwhile."""
    if _try_lock(file, 0, TO_THE_END) and _is_at(file, path):
        path.unlink()


def _is_at(file: int, path: Path) -> bool:
    """Return whether an open file is still at the path: the last process to leave may have removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(file: int, slot: int, length: int = 1) -> bool:
    """Lock the byte of a slot, or `length` bytes, without waiting; return whether that succeeded."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, slot, length))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _unlock(file: int, slot: int) -> None:
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, slot))


def _flock(kind: int, byte: int, length: int = 1) -> bytes:
    """Return the `struct flock` of a lock on one byte, or on `length` bytes.

    The locks belong to open files, not to processes: a process would lose its locks as soon as it closed the
    file anywhere, and two routers of one process would share theirs.
    """
    return struct.pack("hhqqi", kind, os.SEEK_SET, byte, length, 0)
