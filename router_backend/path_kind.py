"""Read regular files only: a device or a pipe may have no end."""

import stat
from pathlib import Path

REGULAR_FILE = "a regular file"
FOLDER = "a folder"


def path_kind(path: Path) -> str:
    """Return the kind of file at a path, in words for a message.

    Unlike `Path.is_file`, it never raises, even if the path is too long.

    Returns:
        `REGULAR_FILE`, `FOLDER`, another kind, or why the kind is unknown.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"none that can be read ({error.strerror})"
    except ValueError:
        return "a path with a NUL character"
    if stat.S_ISREG(mode):
        return REGULAR_FILE
    return FOLDER if stat.S_ISDIR(mode) else "something that is not a regular file"
