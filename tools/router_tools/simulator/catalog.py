"""Lookup of data files: bundled ones by name, others by path."""

from difflib import get_close_matches
from pathlib import Path

from router_tools.errors import ToolError

_ROOT = Path(__file__).parent


def names(kind: str) -> list[str]:
    """Return the names of the bundled files of a kind: `worlds`, `workloads` or `suites`."""
    return sorted(path.stem for path in (_ROOT / kind).glob("*.json"))


def find(kind: str, name_or_path: str, folder: Path = Path()) -> Path:
    """Return the path of a data file.

    Args:
        kind: `worlds`, `workloads` or `suites`.
        name_or_path: the name of a bundled file, or a path, which contains a `/` or ends with `.json`.
        folder: the folder that a relative path starts from.

    Raises:
        ToolError: there is no bundled file of that name.
    """
    if "/" in name_or_path or name_or_path.endswith(".json"):
        return folder / name_or_path
    known = names(kind)
    if name_or_path in known:
        return _ROOT / kind / f"{name_or_path}.json"
    close = get_close_matches(name_or_path, known, 1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    expected = f"one of {', '.join(known)}, or the path of a JSON file"
    raise ToolError(f"{kind}: expected {expected}, found '{name_or_path}'{hint}")
