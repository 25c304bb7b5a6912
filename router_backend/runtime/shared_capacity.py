"""Counts of what is in flight on each device, shared by the router processes of one machine."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import struct
import tempfile
import time
from pathlib import Path

from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import Taken
from router_backend.errors import ConfigurationError

SHARED_MEMORY = Path("/dev/shm")
MAGIC = b"TMRCAP01"
SLOTS = 256
DEVICES = {device: row for row, device in enumerate(Device)}
WORD = 8
HEADER_WORDS = 2
SLOTS_USED = 1
SIZE = WORD * (HEADER_WORDS + 2 * len(DEVICES) * SLOTS)
KIB_PER_MB = 1024
FILE_LOCK = 0
TO_THE_END = 0


def shared_file(repository: Path) -> Path:
    """The file that the routers of a model repository share, for each user of the machine another."""
    folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    key = hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:16]
    return folder / f"triton-model-router-{os.getuid()}-{key}"


def remove_unused(path: Path) -> None:
    """Remove the file if no process has it: those that were killed, or hung, could not take it along.

    What cannot be opened, such as a link or the file of another user, is left alone: no router uses it.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        # Whoever has the file holds the lock on one of its bytes, a slot's or that of the whole.
        if _try_lock(file, FILE_LOCK, TO_THE_END) and _is_at(file, path):
            path.unlink()
    finally:
        os.close(file)


class SharedCapacity:
    """One process's view of the counts of all.

    The file is a table of 64-bit words: for each device a row of requests and a row of memory (in KiB), with
    a column for each process, its slot. A process writes its own slot only, and a reader adds a row up; a
    word is written in one store, so that no reader sees half of one. A process holds its slot by a lock on
    one byte of the file, which the system takes back when the process ends, however it ends: a slot that can
    be locked is of nobody, and its counts are void.

    A new process takes the first slot that is free. The last one to leave removes the file. A file of another
    layout is left to those who have it open, and a new one takes its name.

    Args:
        path: the file; made if it is not there.

    Raises:
        ConfigurationError: the file cannot be made or opened, or all of its slots are taken.
    """

    LOOK_FOR_DEAD_EVERY_S = 0.05

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_look_s = 0.0
        try:
            self._file = _open(path)
            self._map = mmap.mmap(self._file, SIZE)
        except OSError as error:
            raise ConfigurationError(
                expected=f"a file that routers can share at {path}",
                found=str(error.strerror),
                fix="make room there, or remove it",
            ) from None
        self._words = memoryview(self._map).cast("q")
        self._slot = self._claim()
        _unlock(self._file, FILE_LOCK)

    def publish(self, device: Device, taken: Taken) -> None:
        """Tell the others what this process has in flight on a device."""
        requests, memory = _cells(device, self._slot)
        self._words[requests] = taken.requests
        self._words[memory] = round(taken.memory_mb * KIB_PER_MB)

    def others(self, device: Device) -> Taken:
        """What the others have in flight on a device."""
        words = self._words
        used = words[SLOTS_USED]
        requests, memory = _cells(device, 0)
        own_requests, own_memory = _cells(device, self._slot)
        return Taken(
            sum(words[requests : requests + used]) - words[own_requests],
            (sum(words[memory : memory + used]) - words[own_memory]) / KIB_PER_MB,
        )

    def forget_dead(self) -> bool:
        """Void what processes had in flight that have ended; looked for at an interval, no more often."""
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + self.LOOK_FOR_DEAD_EVERY_S
        suspects = [
            slot for slot in range(self._words[SLOTS_USED]) if slot != self._slot and self._holds(slot)
        ]
        return sum(self._void_if_dead(slot) for slot in suspects) > 0

    def close(self) -> None:
        """Leave; the last one takes the file along."""
        _lock(self._file, FILE_LOCK)
        self._void(self._slot)
        if all(self._is_dead(slot) for slot in range(self._words[SLOTS_USED]) if slot != self._slot):
            self._remove()
        self._release()

    def _release(self) -> None:
        self._words.release()
        self._map.close()
        os.close(self._file)

    def _remove(self) -> None:
        if _is_at(self._file, self._path):
            self._path.unlink()

    def _claim(self) -> int:
        for slot in range(SLOTS):
            if _try_lock(self._file, _lock_of(slot)):
                self._void(slot)
                self._words[SLOTS_USED] = max(self._words[SLOTS_USED], slot + 1)
                return slot
        self._release()
        raise ConfigurationError(
            expected=f"at most {SLOTS} routers that share {self._path}",
            found="more",
            fix="use fewer instances",
        )

    def _holds(self, slot: int) -> bool:
        return any(self._words[cell] for device in DEVICES for cell in _cells(device, slot))

    def _void(self, slot: int) -> None:
        for device in DEVICES:
            for cell in _cells(device, slot):
                self._words[cell] = 0

    def _is_dead(self, slot: int) -> bool:
        if not _try_lock(self._file, _lock_of(slot)):
            return False
        _unlock(self._file, _lock_of(slot))
        return True

    def _void_if_dead(self, slot: int) -> bool:
        if not _try_lock(self._file, _lock_of(slot)):
            return False
        self._void(slot)
        _unlock(self._file, _lock_of(slot))
        return True


def _cells(device: Device, slot: int) -> tuple[int, int]:
    """Where the requests and the memory stand that a slot has on a device."""
    requests = HEADER_WORDS + 2 * SLOTS * DEVICES[device] + slot
    return requests, requests + SLOTS


def _lock_of(slot: int) -> int:
    return FILE_LOCK + 1 + slot


def _open(path: Path) -> int:
    """Open the file that has the name, with the lock on it as a whole, and make it what it must be."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _lock(file, FILE_LOCK)
            if _is_at(file, path) and _is_ready(file, path):
                return file
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether the file still has its name; the last one to leave may just have removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _is_ready(file: int, path: Path) -> bool:
    """Whether the file has the layout; a new one gets it, and one of another kind loses its name."""
    size = os.fstat(file).st_size
    if size == 0:
        os.posix_fallocate(file, 0, SIZE)  # without the room, the first write into the map would end us
        os.pwrite(file, MAGIC, 0)
        return True
    if size == SIZE and os.pread(file, len(MAGIC), 0) == MAGIC:
        return True
    path.unlink(missing_ok=True)
    return False


def _lock(file: int, byte: int) -> None:
    """Wait for the lock on a byte."""
    fcntl.fcntl(file, fcntl.F_OFD_SETLKW, _flock(fcntl.F_WRLCK, byte))


def _try_lock(file: int, byte: int, length: int = 1) -> bool:
    """Whether the lock on a byte, or on more of them, could be had at once."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, byte, length))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _unlock(file: int, byte: int) -> None:
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, byte))


def _flock(kind: int, byte: int, length: int = 1) -> bytes:
    """The system's record of a lock on one byte, or on `length` of them.

    Its locks of open files, rather than of processes: those would be lost as soon as the process closed the
    file anywhere, and would not keep two routers of one process apart.
    """
    return struct.pack("hhqqi", kind, os.SEEK_SET, byte, length, 0)
