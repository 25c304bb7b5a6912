"""Follow docs/develop/adding-a-policy.md in a copy of this project."""

import re
from pathlib import Path

import pytest

from router_backend.core.variants.candidate import Candidate
from tests.documents import CHECKOUT, DOCS, POLICIES, code_words, examples
from tests.project_copy import check_style, copy_project, replace_once, run_python

PAGE = DOCS / "develop" / "adding-a-policy.md"
REGISTRY = Path("router_backend", "core", "policies", "registry.py")
ROUTE = """
from router_backend import Device, ModelRouter, ModelSettings, RoutingContext, Variant
router = ModelRouter(ModelSettings(policy="cpu_first"))
router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
print(router.route_request("m", RoutingContext()).variant)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project with the policy of the page: its file, registry lines and row of the table."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    (module,) = examples("python plugin")
    registry = folder / REGISTRY
    registry.with_name("cpu_first.py").write_text(module.text)
    before = "from router_backend.core.policies.base import Policy\n"
    replace_once(
        registry, before, f"{before}from router_backend.core.policies.cpu_first import CpuFirstPolicy\n"
    )
    replace_once(registry, "    )\n}\n", "        CpuFirstPolicy,\n    )\n}\n")
    page = folder / POLICIES.relative_to(CHECKOUT)
    before, name_and_rule, after = re.split(r"(\| name \| rule \|.*?\n)(?=\n)", page.read_text(), flags=re.S)
    page.write_text(f"{before}{name_and_rule}| `cpu_first` | the CPU while it is fast enough | |\n{after}")
    return folder


def test_the_page_names_every_figure_of_a_candidate() -> None:
    figures = {name for name in dir(Candidate) if not name.startswith("_")}
    assert figures <= set(code_words(PAGE))


def test_a_policy_that_was_added_as_the_page_says_routes(copy: Path) -> None:
    assert run_python(copy, "-c", ROUTE).strip() == "m_cpu"


def test_a_policy_that_was_added_as_the_page_says_passes_the_contract_tests(copy: Path) -> None:
    contract = ("tests/contract/test_policies.py", "-p", "no:cacheprovider", "-k", "cpu_first")
    assert re.search(r"[1-9]\d* passed", run_python(copy, "-m", "pytest", *contract))


def test_a_policy_that_was_added_as_the_page_says_passes_the_test_of_the_table(
    copy: Path,
) -> None:
    listed = "tests/unit/test_docs.py::test_the_policies_are_listed"
    assert "1 passed" in run_python(copy, "-m", "pytest", listed, "-p", "no:cacheprovider")


def test_a_policy_that_was_added_as_the_page_says_has_the_style_of_the_project(copy: Path) -> None:
    check_style(copy, REGISTRY.parent)
