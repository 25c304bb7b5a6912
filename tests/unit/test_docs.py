"""The documents are right: examples that need no server, links, and tables compared with the code."""

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import typer.main

from router_backend import Device, Fault, ModelRouter, RoutingContext, Variant
from router_backend.core.choosing import filters
from router_backend.core.policies.registry import POLICIES
from router_backend.core.telemetry.metrics import METRICS
from router_backend.executors.providers import PROVIDERS
from router_backend.runtime.explanation import explain, report
from router_tools.__main__ import app
from router_tools.simulator.world_file import read_world
from tests import documents
from tests.documents import (
    CHECKOUT,
    DOCUMENTS,
    INSTALL,
    LIBRARY,
    MESSAGES,
    MONITORING,
    ONNX,
    README,
    REQUESTS,
    Example,
    anchors,
    code_words,
    commands,
    examples,
    links,
    table,
    tokens,
)

SERVED = ("sh", "protobuf", "protobuf executor", "python model.py", "python server")
"""The kinds of examples that tests/integration/test_docs.py runs against a server."""
PLUGIN = ("python plugin", "toml plugin")
"""The kinds that tests/unit/core/policies/test_plugins.py installs."""
ERRORS = ("python error",)
"""The kind that tests/integration/test_router_like_its_variant.py makes a variant of."""
FORWARDING = ("protobuf remote", "python remote")
"""The kinds that tests/integration/test_another_machine.py runs between two servers."""
NOT_RUN = ("sh container", "dockerfile container")
"""There is no container here."""
NO_EXAMPLE = ("text", "json")
PACKAGE = CHECKOUT / "router_backend"
REASONED = [
    PACKAGE / "core" / path for path in ("choosing/filters.py", "variants/state.py", "variants/capacity.py")
]
"""The sources whose functions return why a variant is left out."""
SOURCE_FOLDERS = ("router_backend", "tools", "tests")
PLACEHOLDER = "…"


def test_every_example_is_of_a_kind_that_some_test_treats():
    treated = (
        "python",
        *PLUGIN,
        "json routing",
        "json world",
        "sh checked",
        "sh pytest",
        *SERVED,
        *ERRORS,
        *FORWARDING,
        *NOT_RUN,
        *NO_EXAMPLE,
    )
    assert [(str(example), example.kind) for example in examples() if example.kind not in treated] == []


def test_nothing_but_the_containers_three_examples_is_never_run():
    assert [example.document for example in examples(*NOT_RUN)] == [MONITORING, INSTALL, INSTALL]


@pytest.mark.parametrize("example", examples("python"), ids=str)
def test_an_example_of_the_library_runs(example: Example):
    code = compile(example.text, str(example), "exec")
    exec(code, {"__name__": example.document.stem})


@pytest.mark.parametrize("example", examples("json world"), ids=str)
def test_an_example_of_a_world_is_one(example: Example, tmp_path: Path):
    (tmp_path / "world.json").write_text(example.text, encoding="utf-8")
    assert read_world(tmp_path / "world.json").variants


@pytest.mark.parametrize("example", examples("sh checked"), ids=str)
def test_the_commands_of_an_example_are_there_and_take_their_options(example: Example):
    for command in commands(example):
        name, *arguments = shlex.split(command)
        if name == "make":
            subprocess.run(["make", "--dry-run", *arguments], cwd=CHECKOUT, check=True, capture_output=True)
        else:
            assert name == ".venv/bin/model-router"
            parse(*arguments)


def parse(name: str, *arguments: str) -> None:
    """Have a command of `model-router` read its command line, but not run; a wrong one raises."""
    command = typer.main.get_command(app).commands[name]
    command.make_context(name, list(arguments)).close()


@pytest.mark.parametrize("example", examples("sh pytest"), ids=str)
def test_the_tests_of_an_example_are_there(example: Example):
    for command in commands(example):
        name, *arguments = shlex.split(command)
        assert name == ".venv/bin/pytest"
        collect = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *arguments]
        subprocess.run(collect, cwd=CHECKOUT, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("document", "kinds"),
    [
        (README, {"sh", "sh checked", "protobuf"}),
        (INSTALL, {"python model.py", "sh checked", *NOT_RUN}),
        (LIBRARY, {"python"}),
    ],
    ids=["readme", "install", "library"],
)
def test_the_first_pages_show_the_library_a_request_and_a_configuration(document: Path, kinds: set[str]):
    assert {example.kind for example in examples() if example.document == document} == kinds


def test_the_readme_has_at_most_100_lines():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 100


def test_no_line_of_prose_in_the_readme_is_longer_than_120_columns():
    lines = [
        line
        for token, following in pairwise(tokens(README))
        if token.type == "paragraph_open" and following.map
        for line in README.read_text(encoding="utf-8").splitlines()[slice(*following.map)]
    ]
    assert lines
    assert [line for line in lines if len(line) > 120] == []


def test_the_readme_says_that_the_tests_fetch_a_package_that_is_not_from_pypi():
    sources = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests" / "integration").glob("*.py")]
    fetching = any("obtain_prometheus()" in source for source in sources)
    _, _, commands_of_readme = README.read_text(encoding="utf-8").partition("## Try it")
    said = commands_of_readme.partition("\n## ")[0]
    assert not fetching or ("`prometheus`" in said and "`apt-get`" in said)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(CHECKOUT)))
def test_what_a_document_links_to_is_there(document: Path):
    for link in links(document):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(CHECKOUT)))
def test_the_files_that_a_document_names_are_there(document: Path):
    sources = [path.as_posix() for folder in SOURCE_FOLDERS for path in (CHECKOUT / folder).rglob("*.py")]
    for word in code_words(document):
        if re.fullmatch(r"[\w/.-]+\.py", word) and word != "1/model.py":
            assert any(source.endswith(f"/{word}") for source in sources), word
        if re.fullmatch(r"(router_backend|model_repository|tools|tests|docs)/[\w/.-]*", word):
            assert (CHECKOUT / word).exists(), word


def test_the_metrics_are_listed_with_kind_labels_and_help():
    rows = table(documents.METRICS, "name", "kind", "labels")
    assert rows == [
        [metric.name, metric.kind.value, ", ".join(metric.labels), metric.help] for metric in METRICS
    ]


def test_the_policies_are_listed():
    cells = [cell for cell, _, _ in table(documents.POLICIES, "name", "rule")]
    names = [name.partition(":")[0].strip() for cell in cells for name in cell.split(",")]
    assert sorted(names) == sorted(POLICIES)


def test_the_execution_providers_are_listed_with_devices_and_options():
    listed = {name: (devices, options) for name, devices, options in table(ONNX, "execution provider")}
    assert listed == {
        provider.name: (
            ", ".join(device.value for device in Device if device in provider.devices),
            ", ".join(sorted(provider.options)) or "none",
        )
        for provider in PROVIDERS.values()
    }


def test_the_decision_that_is_shown_has_the_fields_of_one():
    router = ModelRouter()
    router.register_model("m", variants=[Variant("a", Device.CPU), Variant("b", Device.GPU)])
    told = explain(router.route_request("m", RoutingContext()), 1.0, [])
    example, _ = examples("json")
    shown = json.loads(example.text)
    assert list(shown) == list(told)
    assert all(list(candidate) == list(told["candidates"][0]) for candidate in shown["candidates"])
    described = [name for cell, _ in table(REQUESTS, "field") for name in cell.split(", ")]
    assert described == list(told)


def test_the_report_that_is_shown_has_the_fields_of_one():
    router = ModelRouter()
    router.register_model("m", variants=[Variant("a", Device.CPU)])
    told = report(router)
    _, example = examples("json")
    shown = json.loads(example.text)
    assert list(shown) == list(told)
    assert list(shown["backends"]["cpu"]) == list(told["backends"]["cpu"])
    assert list(shown["backends"]["cpu"]["limits"]) == list(told["backends"]["cpu"]["limits"])


def test_every_reason_why_a_variant_was_out_that_is_explained_is_one_that_the_router_gives():
    given = list(templates(*nodes(*PACKAGE.rglob("*.py"))))
    for reason, _ in table(MESSAGES, "reason_out"):
        assert any(matches(reason, template) for template in given), reason


def test_every_reason_of_a_filter_is_explained():
    returned = [node.value for node in nodes(*REASONED) if isinstance(node, ast.Return) and node.value]
    given = [text for value in returned for text in texts(value)]
    named = [text for name, text in vars(filters).items() if name.isupper() and type(text) is str]
    assert len(given) > 5
    assert filters.LATE in named
    explained = [reason for reason, _ in table(MESSAGES, "reason_out")]
    assert [each for each in given + named if not any(matches(row, each) for row in explained)] == []


def test_the_reason_of_a_variant_that_was_not_ready_is_explained():
    router = ModelRouter()
    router.register_model("m", variants=[Variant("a", Device.CPU)])
    router.dispatch("m", RoutingContext()).next_attempt().failed(Fault.NOT_READY)
    reason = router.backends()[Device.CPU].unavailable["a"]
    assert reason in [row for row, _ in table(MESSAGES, "reason_out")]


def templates(*expressions: ast.AST) -> Iterator[str]:
    """Those of the expressions that are texts, with a placeholder for what differs."""
    return filter(None, map(template_of, expressions))


def texts(expression: ast.AST) -> Iterator[str]:
    """The texts in an expression, with a placeholder for what differs."""
    text = template_of(expression)
    if text is not None:
        yield text
    else:
        for part in ast.iter_child_nodes(expression):
            yield from texts(part)


def nodes(*sources: Path) -> Iterator[ast.AST]:
    for source in sources:
        yield from ast.walk(ast.parse(source.read_text(encoding="utf-8")))


def template_of(node: ast.AST) -> str | None:
    """A text or an f-string, with a placeholder for what differs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values)
    return None


def matches(shown: str, template: str) -> bool:
    """Whether what is shown is part of a text; both have placeholders."""
    pattern = ".*".join(re.escape(part) for part in shown.split(PLACEHOLDER))
    return re.search(pattern, template, re.DOTALL) is not None
