"""Read regular files only: a device or a pipe may have no end."""

import math
import stat
from pathlib import Path

from router_backend.errors import ConfigurationError

REGULAR_FILE = "a regular file"
FOLDER = "a folder"
NO_SUCH_FILE = "no such file"


def path_kind(path: Path) -> str:
    """Return the kind of file at a path, in words for a message.

    Unlike `Path.is_file`, it never raises, even if the path is too long.

    Returns:
        `REGULAR_FILE`, `FOLDER`, `NO_SUCH_FILE`, another kind, or why the kind is unknown.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return NO_SUCH_FILE
    except OSError as error:
        return f"none that can be read ({error.strerror})"
    except ValueError:
        return "a path with a NUL character"
    if stat.S_ISREG(mode):
        return REGULAR_FILE
    return FOLDER if stat.S_ISDIR(mode) else "something that is not a regular file"


def read_bytes(path: Path, expected: str, most_bytes: float = math.inf) -> bytes:
    """Return the content of a regular file.

    Raises:
        ConfigurationError: there is no such file, it cannot be read, or it has more than `most_bytes`.
    """
    kind = path_kind(path)
    if kind != REGULAR_FILE:
        raise ConfigurationError(where=str(path), expected=expected, found=kind)
    try:
        size = path.stat().st_size
        if size <= most_bytes:
            return path.read_bytes()
    except OSError as error:
        found = str(error.strerror)
        raise ConfigurationError(where=str(path), expected="a readable file", found=found) from None
    expected, fix = f"at most {most_bytes} bytes", "write less, such as one pattern for many models"
    raise ConfigurationError(where=str(path), expected=expected, found=f"{size}", fix=fix)


def decode_text(where: str, content: bytes) -> str:
    """Return the text in the content of a file.

    Raises:
        ConfigurationError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        found, fix = f"another byte at {error.start}", "save it as UTF-8"
        raise ConfigurationError(where=where, expected="text in UTF-8", found=found, fix=fix) from None
