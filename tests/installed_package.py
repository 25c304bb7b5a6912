"""A package of somebody else's, as the tests of policies from outside need one."""

import importlib
from pathlib import Path

from router_backend.core.policies.plugins import GROUP


def install(site: Path, package: str, points: dict[str, str], **modules: str) -> None:
    """What pip leaves behind of a package: its modules, and its metadata."""
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    importlib.invalidate_caches()
