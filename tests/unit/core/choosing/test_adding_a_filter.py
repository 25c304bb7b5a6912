"""Follow docs/develop/adding-a-filter.md: in a program, and in a copy of this project."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from router_backend import Device, ModelRouter, RoutingContext, Variant
from router_backend.core.choosing import filters
from tests.documents import CHECKOUT, DOCS, MESSAGES, Example, examples
from tests.project_copy import check_style, copy_project, replace_once, run_python

PAGE = DOCS / "develop" / "adding-a-filter.md"
FILTERS = Path("router_backend", "core", "choosing", "filters.py")
NAME = "too_many_waiting"
LAST = inspect.getsource(filters.too_much_power)
ROUTE = """
from router_backend import Device, ModelRouter, RoutingContext, Variant
router = ModelRouter()
router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
only_gpu = RoutingContext(allowed_devices=frozenset({Device.GPU}))
held = [router.route_request("m", only_gpu) for _ in range(33)]
print({each.variant: each.reason_out for each in router.route_request("m", RoutingContext()).candidates})
"""


@pytest.fixture(scope="module")
def example() -> Example:
    (found,) = (each for each in examples("python") if each.document == PAGE)
    return found


def serve_until_the_gpu_waits(router: ModelRouter) -> dict[str, str | None]:
    """Return why each variant is rejected if one request is served on the GPU and 32 wait there."""
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
    only_gpu = RoutingContext(allowed_devices=frozenset({Device.GPU}))
    held = [router.route_request("m", only_gpu) for _ in range(33)]
    decision = router.route_request("m", RoutingContext())
    assert len(held) == 33
    return {each.variant: each.reason_out for each in decision.candidates}


def test_the_filter_of_a_program_rejects_with_its_reason(example: Example) -> None:
    names: dict[str, ModelRouter] = {}
    exec(compile(example.text, str(example), "exec"), names)
    reasons = serve_until_the_gpu_waits(names["router"])
    assert reasons == {"m_cpu": None, "m_gpu": "32 requests are waiting"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Path:
    """Return the project with the page's filter at the end of the list, and its reason in the table."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    functions = [node for node in ast.parse(example.text).body if isinstance(node, ast.FunctionDef)]
    (function,) = (ast.get_source_segment(example.text, node) for node in functions)
    replace_once(folder / FILTERS, LAST, f"{LAST}\n\n{function}\n")
    replace_once(folder / FILTERS, "True),\n)\n", f"True),\n    Filter({NAME}),\n)\n")
    page, last = folder / MESSAGES.relative_to(CHECKOUT), "| `would be late` |"
    replace_once(page, last, f"| `… requests are waiting` | too many |\n{last}")
    return folder


def test_a_filter_that_was_added_as_the_page_says_passes_the_tests_of_filters_and_reasons(copy: Path) -> None:
    tests = (
        "tests/unit/core/choosing/test_filters.py",
        "tests/unit/test_docs.py::test_every_reason_of_a_filter_is_explained",
    )
    assert re.search(r"[1-9]\d* passed", run_python(copy, "-m", "pytest", *tests, "-p", "no:cacheprovider"))


def test_a_filter_that_was_added_as_the_page_says_rejects_with_its_reason(copy: Path) -> None:
    printed = run_python(copy, "-c", ROUTE).strip()
    assert ast.literal_eval(printed) == {"m_cpu": None, "m_gpu": "32 requests are waiting"}


def test_a_filter_that_was_added_as_the_page_says_has_the_style_of_the_project(copy: Path) -> None:
    check_style(copy, FILTERS)
