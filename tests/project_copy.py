"""A copy of the project to change, and to run Python in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.documents import CHECKOUT

FOLDERS = ("router_backend", "tools", "tests", "docs")


def copy_project(folder: Path) -> None:
    """Copy the source, the tests and the documents."""
    for name in FOLDERS:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for source in (*CHECKOUT.glob("*.md"), CHECKOUT / "pyproject.toml"):
        shutil.copy(source, folder)


def replace_once(file: Path, old: str, new: str) -> None:
    """Replace text that is in the file exactly once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")


def run_python(folder: Path, *arguments: str) -> str:
    """Return what Python prints when it runs in the copy; it must succeed."""
    path = os.pathsep.join(map(str, (folder, folder / "tools")))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_style(folder: Path, changed: Path) -> None:
    """Check a changed file or folder of the copy with the linter and the formatter of the project."""
    run_python(folder, "-m", "ruff", "check", "--no-cache", str(changed))
    run_python(folder, "-m", "ruff", "format", "--no-cache", "--diff", str(changed))
