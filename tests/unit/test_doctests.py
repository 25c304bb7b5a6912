"""The examples in the docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

import router_backend

PACKAGE = Path(router_backend.__file__).parent
TRITON = "triton_python_backend_utils"


def module_name(source: Path) -> str:
    parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources_with_examples() -> list[Path]:
    """The sources that show an example and need no Triton to be imported."""
    texts = {source: source.read_text(encoding="utf-8") for source in sorted(PACKAGE.rglob("*.py"))}
    return [source for source, text in texts.items() if ">>> " in text and f"import {TRITON}" not in text]


@pytest.mark.parametrize("source", sources_with_examples(), ids=module_name)
def test_the_examples_of_a_module_give_what_they_show(source):
    results = doctest.testmod(importlib.import_module(module_name(source)))
    assert results.attempted > 0
    assert results.failed == 0


def test_the_examples_are_found_where_they_are():
    names = {module_name(source) for source in sources_with_examples()}
    assert {"router_backend.core.router", "router_backend.core.learning.affine"} <= names
