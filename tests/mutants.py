"""Mutation score of a part of the core: `python -m tests.mutants router_backend/core/learning`.

A mutant is the code with one small change, such as `<=` for `<`; one that no test notices survives.
mutmut makes the mutants and runs, for each one, the tests that reach the changed function.
`docs/develop/mutants.md` says what to do with those that survive.
"""

import argparse
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

from rich.console import Console

CORE = Path("router_backend/core")
REQUIRED_SCORE = 0.9
KILLED = {"killed", "timeout"}
PROCESSES = 2
MUTMUT = Path(sys.executable).parent / "mutmut"


def statuses() -> dict[str, str]:
    """What became of each mutant that was tried, by its name: module, function and number."""
    listed = subprocess.run([MUTMUT, "results", "--all", "true"], check=True, capture_output=True, text=True)
    found = dict(line.strip().rsplit(": ", 1) for line in listed.stdout.splitlines() if ": " in line)
    return {name: status for name, status in found.items() if status != "not checked"}


def print_scores(found: dict[str, str]) -> float:
    """The score of each module and of all; the score of all."""
    console = Console(highlight=False, soft_wrap=True)
    by_module: dict[str, Counter[bool]] = defaultdict(Counter)
    for name, status in found.items():
        by_module[name.rpartition(".")[0]][status in KILLED] += 1
    for module, counts in sorted(by_module.items()):
        console.print(f"{counts[True] / counts.total():6.1%} of {counts.total():4}  {module}")
    score = sum(status in KILLED for status in found.values()) / len(found)
    console.print(f"{score:6.1%} of {len(found):4}  total")
    return score


def print_survivors(found: dict[str, str]) -> None:
    """The change of each mutant that no test noticed."""
    for name in sorted(name for name, status in found.items() if status not in KILLED):
        subprocess.run([MUTMUT, "show", name], check=True)


def main() -> int:
    """Try the mutants of folders or files; 0 if enough of them were killed."""
    parser = argparse.ArgumentParser(description="Mutation score of a part of the core.")
    parser.add_argument("paths", type=Path, nargs="*", default=[CORE], help="folders or files of the core")
    patterns = [".".join(path.with_suffix("").parts) + ".*" for path in parser.parse_args().paths]
    shutil.rmtree("mutants", ignore_errors=True)  # which tests reach a function may have changed
    subprocess.run([MUTMUT, "run", "--max-children", str(PROCESSES), *patterns], check=True)
    found = statuses()
    print_survivors(found)
    return 0 if print_scores(found) >= REQUIRED_SCORE else 1


if __name__ == "__main__":
    sys.exit(main())
