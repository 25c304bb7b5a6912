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
    """Return the file that the routers of a model repository share, a separate one for each user."""
    folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    key = hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:16]
    return folder / f"triton-model-router-{os.getuid()}-{key}"


def remove_unused(path: Path) -> None:
    """Remove the file if no process uses it: processes that were killed could not remove it themselves.

    A file that cannot be opened, such as a link or the file of another user, is left alone.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        # A process that uses the file holds a lock on one of its bytes: that of a slot, or of the whole file.
        if _try_lock(file, FILE_LOCK, TO_THE_END) and _is_at(file, path):
            path.unlink()
    finally:
        os.close(file)


class SharedCapacity:
    """The counts of all processes, as one of them sees and updates them.

    The file is a table of 64-bit words: for each device a row of requests and a row of memory (in KiB), with
    a column for each process, its slot. A process writes only to its own slot, and readers add up a row; a
    word is written in one store, so that no reader sees half of one. A process owns its slot by a lock on
    one byte of the file, which the system releases when the process ends, even by a crash: a slot that can
    be locked belongs to no process, and its counts are void.

    A new process takes the first free slot. The last one to leave removes the file. A file with another
    layout is unlinked: processes that have it open keep it, and a new file takes its name.

    Args:
        path: the file, created if it does not exist.

    Raises:
        ConfigurationError: the file cannot be created or opened, or all of its slots are taken.
    """

    LOOK_FOR_DEAD_EVERY_S = 0.05

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_look_s = 0.0
        try:
            self._file = _open(path)
            self._map = mmap.mmap(self._file, SIZE)
        except OSError as error:
            expected, fix = f"a file that routers can share at {path}", "make room there, or remove it"
            raise ConfigurationError(expected=expected, found=str(error.strerror), fix=fix) from None
        self._words = memoryview(self._map).cast("q")
        self._slot = self._claim()
        _unlock(self._file, FILE_LOCK)

    def publish(self, device: Device, taken: Taken) -> None:
        """Publish what this process has in flight on a device."""
        requests, memory = _cells(device, self._slot)
        self._words[requests] = taken.requests
        self._words[memory] = round(taken.memory_mb * KIB_PER_MB)

    def others(self, device: Device) -> Taken:
        """Return what the other processes have in flight on a device."""
        words = self._words
        used = words[SLOTS_USED]
        requests, memory = _cells(device, 0)
        own_requests, own_memory = _cells(device, self._slot)
        return Taken(
            sum(words[requests : requests + used]) - words[own_requests],
            (sum(words[memory : memory + used]) - words[own_memory]) / KIB_PER_MB,
        )

    def forget_dead(self) -> bool:
        """Void the counts of ended processes, at most once per interval; return whether there were any."""
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + self.LOOK_FOR_DEAD_EVERY_S
        suspects = [
            slot for slot in range(self._words[SLOTS_USED]) if slot != self._slot and self._holds(slot)
        ]
        return sum(self._void_if_dead(slot) for slot in suspects) > 0

    def close(self) -> None:
        """Give the slot back; the last process removes the file."""
        _lock(self._file, FILE_LOCK)
        self._void(self._slot)
        others = (slot for slot in range(self._words[SLOTS_USED]) if slot != self._slot)
        if all(map(self._is_dead, others)) and _is_at(self._file, self._path):
            self._path.unlink()
        self._release()

    def _release(self) -> None:
        self._words.release()
        self._map.close()
        os.close(self._file)

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
    """Return the words that hold a slot's requests and memory on a device."""
    requests = HEADER_WORDS + 2 * SLOTS * DEVICES[device] + slot
    return requests, requests + SLOTS


def _lock_of(slot: int) -> int:
    return FILE_LOCK + 1 + slot


def _open(path: Path) -> int:
    """Open the file, creating it if necessary, and lock it as a whole."""
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
    """Return whether an open file is still at the path: the last process to leave may have removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _is_ready(file: int, path: Path) -> bool:
    """Return whether the file has the layout: initialize a new file, unlink one with another layout."""
    size = os.fstat(file).st_size
    if size == 0:
        os.posix_fallocate(file, 0, SIZE)  # on a full disk, a write to the map would kill this process
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
    """Lock one byte, or `length` bytes, without waiting; return whether that succeeded."""
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
    """Return the `struct flock` of a lock on one byte, or on `length` bytes.

    The locks belong to open files, not to processes: a process would lose its locks as soon as it closed the
    file anywhere, and two routers of one process would share theirs.
    """
    return struct.pack("hhqqi", kind, os.SEEK_SET, byte, length, 0)
