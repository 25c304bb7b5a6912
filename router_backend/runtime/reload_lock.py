"""Keeps routers that share a variant from loading it again one after the other."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from router_backend.runtime.private_folder import private_folder


class ReloadLock:
    """A lock for each variant of a repository, between all routers of this user.

    It is a file in the folder that only this user's processes reach. The system releases the lock of a
    process that ends. The file was last changed when the variant was last loaded.

    Args:
        repository: the model repository.
        folder: where the files are.
    """

    AGAIN_AFTER_S = 5.0

    def __init__(self, repository: Path, folder: Path | None = None) -> None:
        self._repository = repository.resolve()
        self._folder = folder or private_folder()

    @contextmanager
    def hold(self, variant: str) -> Iterator[bool]:
        """Yield whether this router may load a variant now: no other one does so, or just has.

        Where no file can be created, it may.
        """
        try:
            file = os.open(self._path(variant), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            yield True
            return
        try:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._was_just_loaded(file):
                    yield False
                    return
                yield True
                return
            yield False
        finally:
            os.close(file)

    def loaded(self, variant: str) -> None:
        """Note that a variant was loaded again."""
        with suppress(OSError):
            self._path(variant).write_bytes(b".")

    def _path(self, variant: str) -> Path:
        key = hashlib.sha256(f"{self._repository}\0{variant}".encode()).hexdigest()[:16]
        return self._folder / f"reload-{key}"

    def _was_just_loaded(self, file: int) -> bool:
        found = os.fstat(file)
        return bool(found.st_size) and time.time() - found.st_mtime < self.AGAIN_AFTER_S
