"""The file in which a router keeps what it has learned, while it does not run."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from router_backend.core.records.learned import LearnedVariant
from router_backend.errors import ConfigurationError

VERSION = b"model-router profiles 1"
MOST_BYTES = 4_000_000


class SavedVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned about a variant whose files had this fingerprint."""

    files: str
    learned: LearnedVariant


class SavedProfiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file.

    Args:
        router: the router model.
        hardware: the machine that it ran on.
        saved_s: when it was saved, in seconds of the time of day.
        reference_elements: as in `LearnedModel`.
        variants: what was learned, by variant.
    """

    router: str
    hardware: str
    saved_s: float
    reference_elements: float
    variants: Mapping[str, SavedVariant]


DECODER = msgspec.json.Decoder(SavedProfiles)
"""Made before threads use it: msgspec crashes if two of them prepare a structure at once (0.22)."""


class UnusableFileError(Exception):
    """The file is not what a router has saved; its text says what it is instead."""


def write_profiles(path: Path, profiles: SavedProfiles) -> None:
    """Replace the file at once, so that it is never half written.

    Raises:
        OSError: it cannot be written; the one before is still there.
    """
    body = msgspec.json.encode(profiles)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(b"%s %s\n%s" % (VERSION, _checksum(body), body))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _keep_name(path.parent)


def read_profiles(path: Path) -> SavedProfiles:
    """Return the content of the file.

    Raises:
        FileNotFoundError: there is none.
        UnusableFileError: it is something else.
    """
    content = _read_own_file(path)
    header, _, body = content.partition(b"\n")
    version, _, checksum = header.rpartition(b" ")
    if version != VERSION:
        raise UnusableFileError(f"no file that begins with '{VERSION.decode()}'")
    if checksum != _checksum(body):
        raise UnusableFileError("a file whose checksum is wrong")
    try:
        return DECODER.decode(body)
    except (msgspec.MsgspecError, ConfigurationError) as error:
        raise UnusableFileError(f"a file with an error: {error}") from None


def set_aside(path: Path) -> Path | None:
    """Rename a file that is unusable; return its new path, `None` if it cannot be renamed."""
    aside = path.with_name(f"{path.name}.unusable")
    try:
        return path.rename(aside)
    except OSError:
        return None


def _checksum(body: bytes) -> bytes:
    return sha256(body).hexdigest().encode()


def _read_own_file(path: Path) -> bytes:
    """Return the content of a regular file of this user, without waiting for a pipe, or following a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        raise UnusableFileError("a link" if is_link else f"no readable file ({error.strerror})") from None
    try:
        _check_own_file(os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES)
    finally:
        os.close(descriptor)


def _check_own_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFileError("no regular file")
    if status.st_uid != os.geteuid():
        raise UnusableFileError("a file of another user")
    if status.st_size > MOST_BYTES:
        raise UnusableFileError(f"a file of {status.st_size} bytes")


def _keep_name(folder: Path) -> None:
    """Make sure that the new name of a file survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
