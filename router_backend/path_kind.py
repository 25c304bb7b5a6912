"""What stands at a path: only regular files are read, since a device or a pipe may have no end."""

import stat
from pathlib import Path

REGULAR_FILE = "a regular file"
FOLDER = "a folder"


def path_kind(path: Path) -> str:
    """What there is, in words for a message.

    Unlike `Path.is_file` it raises nothing, not for a path that is too long either.

    Returns:
        `REGULAR_FILE`, `FOLDER`, what else it is, or why that cannot be told.
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
