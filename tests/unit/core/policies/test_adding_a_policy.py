"""Follow docs/develop/adding-a-policy.md in a copy of this project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import CHECKOUT, POLICIES, examples

COPIED = (
    "router_backend",
    "tools",
    "tests",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "pyproject.toml",
)
REGISTRY = Path("router_backend", "core", "policies", "registry.py")
ROUTE = """
from router_backend import Device, ModelRouter, ModelSettings, RoutingContext, Variant
router = ModelRouter(ModelSettings(policy="cpu_first"))
router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
print(router.route_request("m", RoutingContext()).variant)
"""


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the page's policy: its file, its lines in the registry, its row in the table."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = CHECKOUT / name
        if source.is_file():
            shutil.copy(source, folder)
        else:
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (module,) = examples("python plugin")
    (folder / REGISTRY).with_name("cpu_first.py").write_text(module.text)
    registry = (folder / REGISTRY).read_text()
    first = "from router_backend.core.policies.latency import"
    own = "from router_backend.core.policies.cpu_first import CpuFirstPolicy\n"
    registry = replaced(registry, first, own + first)
    registry = replaced(registry, "    )\n}\n", "        CpuFirstPolicy,\n    )\n}\n")
    (folder / REGISTRY).write_text(registry)
    page = folder / POLICIES.relative_to(CHECKOUT)
    before, name_and_rule, after = re.split(r"(\| name \| rule \|.*?\n)(?=\n)", page.read_text(), flags=re.S)
    page.write_text(f"{before}{name_and_rule}| `cpu_first` | the CPU while it is fast enough | |\n{after}")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """What Python prints when it is run in the copy; it must succeed."""
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


def test_a_policy_that_was_added_as_the_page_says_routes(copy: Path) -> None:
    assert run(copy, "-c", ROUTE).strip() == "m_cpu"


def test_a_policy_that_was_added_as_the_page_says_passes_the_contract_tests(copy: Path) -> None:
    own = run(
        copy, "-m", "pytest", "tests/contract/test_policies.py", "-p", "no:cacheprovider", "-k", "cpu_first"
    )
    assert re.search(r"[1-9]\d* passed", own)


def test_a_policy_that_was_added_as_the_page_says_is_listed_as_the_test_of_the_table_wants_it(
    copy: Path,
) -> None:
    listed = "tests/unit/test_docs.py::test_the_policies_are_listed"
    assert "1 passed" in run(copy, "-m", "pytest", listed, "-p", "no:cacheprovider")


@pytest.mark.parametrize("check", ["check", "format"])
def test_a_policy_that_was_added_as_the_page_says_has_the_style_of_the_project(
    copy: Path, check: str
) -> None:
    folder = str(REGISTRY.parent)
    options = ("--no-cache", "--diff") if check == "format" else ("--no-cache",)
    run(copy, "-m", "ruff", check, *options, folder)
