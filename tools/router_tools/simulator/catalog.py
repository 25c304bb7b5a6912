"""The data files that come along, by name; one's own by path."""

from difflib import get_close_matches
from pathlib import Path

from router_tools.errors import ToolError

_ROOT = Path(__file__).parent


def names(kind: str) -> list[str]:
    """The files of a kind that come along: `worlds`, `workloads` or `suites`."""
    return sorted(path.stem for path in (_ROOT / kind).glob("*.json"))


def find(kind: str, name_or_path: str, folder: Path = Path()) -> Path:
    """The file of that name, or at that path.

    Args:
        kind: `worlds`, `workloads` or `suites`.
        name_or_path: a name that `names` lists, or the path of a file, which has a `.json` or a folder in it.
        folder: where a path begins.

    Raises:
        ToolError: there is no such file.
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
