"""`python -m router_tools.reference`: write the parts of docs and schemas that are made from code.

In the docs, a generated part is between `<!-- generated: NAME -->` and `<!-- /generated -->`.
"""

from __future__ import annotations

import ast
import inspect as python
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, UNSET, inspect

from router_backend import errors
from router_backend.config import schema
from router_backend.core.experiments.report import ArmReport, ModelReport
from router_backend.core.policies.registry import NO_PARAMETERS
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.backends import BackendCapabilities
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import Problem, RouterError
from router_backend.executors.emulated_settings import EmulatedSettings
from router_backend.executors.onnx_settings import OnnxParameters
from router_backend.executors.remote_settings import RemoteParameters
from router_backend.runtime.request_options import RequestParameters
from router_backend.typed_load import fields_of, names_of
from router_tools.simulator.schema.common import OneOf
from router_tools.simulator.schema.suite import SuiteFile
from router_tools.simulator.schema.trace import CandidateLine, FailureLine, TraceLine
from router_tools.simulator.schema.workload import WorkloadFile
from router_tools.simulator.schema.world import WorldFile

Node = TypeVar("Node", bound=ast.AST)

SOURCES = Path(errors.__file__).parent
SHARED = (SOURCES / "errors.py", SOURCES / "analysis" / "broken_content.py")
"""Where functions are that make a problem, beside the file that calls them."""
MAKERS = ("ConfigurationError", "None")
"""What functions that make a problem return: those of other errors have no row in the tables."""
SCHEMAS: Mapping[str, type] = {
    "router_backend/config/routing.schema.json": schema.RoutingDocument,
    "tools/router_tools/simulator/schemas/world.schema.json": WorldFile,
    "tools/router_tools/simulator/schemas/workload.schema.json": WorkloadFile,
    "tools/router_tools/simulator/schemas/suite.schema.json": SuiteFile,
    "tools/router_tools/simulator/schemas/trace.schema.json": TraceLine,
}
TABLES: Mapping[str, Sequence[tuple[str, str, type]]] = {
    "router parameters": [("", "parameter", schema.RouterParameters)],
    "request parameters": [("", "request parameter", RequestParameters)],
    "onnx executor": [("", "parameter", OnnxParameters)],
    "remote executor": [("", "parameter", RemoteParameters)],
    "emulated executor": [("", "parameter", EmulatedSettings)],
    "trace": [
        ("", "field", TraceLine),
        ("Candidate", "field of a candidate", CandidateLine),
        ("Failure", "field of a failure", FailureLine),
    ],
    "report of devices": [
        ("", "field of a device", BackendCapabilities),
        ("", "field of `limits`", DeviceLimits),
    ],
    "report of experiments": [
        ("", "field", ModelReport),
        ("", "field of `control` and `treatment`", ArmReport),
    ],
    "routing file": [
        ("", "key", schema.RoutingDocument),
        ("Policy", "key of a policy", schema.PolicyChoice),
        ("Rule", "key of a rule", schema.RoutingRule),
        ("Limits of a device", "key of limits", schema.LimitsSection),
        ("Experiment", "key of an experiment", schema.ExperimentSection),
        ("Step of a rollout", "key of a step", schema.StepSection),
        ("Guardrails", "key of guardrails", schema.GuardrailsSection),
    ],
}
"""Tables of settings or results by the name of the generated part: heading, first column, structure."""
PART = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[^>]+) -->\n).*?(?P<end><!-- /generated -->)", re.DOTALL
)
AREAS = {
    "When a router or a routing configuration is loaded": (
        "baselines",
        "config",
        "core",
        "runtime",
        "path_kind.py",
        "typed_load.py",
    ),
    "When a variant of this package is loaded": ("executors",),
    "When an ONNX file is analyzed": ("analysis",),
}
EMULATED = ("emulated_", "linear_layer")
"""Executors of devices that do not exist, for experiments."""
MESSAGES = "messages"
PLACEHOLDER = "…"
NO_DEFAULT = "none"
AS_IT_SAYS = "as it says"


def generate(checkout: Path) -> dict[Path, str]:
    """Return every file of a checkout that is generated, or has generated parts, with its proper text."""
    texts = {
        checkout / name: json.dumps(json_schema(kind), indent=2) + "\n" for name, kind in SCHEMAS.items()
    }
    for path in sorted((checkout / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if PART.search(text):
            texts[path] = PART.sub(_part, text)
    return texts


def json_schema(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of a file, with the meaning of every key."""
    _, components = msgspec.json.schema_components([kind])
    described = {each.cls.__name__: each for each in _structures(inspect.type_info(kind))}
    for name, component in components.items():
        if name in described:
            _complete(component, described[name])
    top = components.pop(kind.__name__)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": components}


def meanings(kind: type) -> dict[str, str]:
    """Return what the docstrings of a structure and its bases say of its fields."""
    found: dict[str, str] = {}
    for each in kind.__mro__:
        _, _, arguments = python.cleandoc(each.__doc__ or "").partition("Args:\n")
        block = arguments.partition("\n\n")[0]
        for name, meaning in re.findall(r"^    (\w+): (.+?)(?=^    \w|\Z)", block, re.DOTALL | re.MULTILINE):
            found.setdefault(name, " ".join(meaning.split()).removesuffix("."))
    return found


def settings_table(header: str, kind: type) -> str:
    """Return a table of the settings of a structure, the required ones first."""
    words = meanings(kind)
    own = set(kind.__annotations__)
    ordered = sorted(fields_of(kind).values(), key=lambda each: (not each.required, each.name not in own))
    rows = [
        [f"`{each.encode_name}`", _default(each, kind), words[each.name] + _names(each)] for each in ordered
    ]
    if all(default == NO_DEFAULT for _, default, _ in rows):
        return _table([header, "meaning"], [[name, meaning] for name, _, meaning in rows])
    return _table([header, "default", "meaning"], rows)


def results_table(header: str, kind: type) -> str:
    """Return a table of the fields of a result, as JSON has them."""
    words = meanings(kind)
    rows = [[f"`{each.name}`", words[each.name].replace("`None`", "null")] for each in fields(kind)]
    return _table([header, "meaning"], rows)


def messages() -> str:
    """Return the tables of all messages, made from the places that raise them."""
    parts = ["## Answers to clients", _table(["message", "gRPC status", "what to do"], _answers())]
    for heading, names in AREAS.items():
        sources = [path for name in names for path in _sources(SOURCES / name)]
        problems = [each for path in sources for each in _problems(path)]
        rows = {(f"`{replace(each, fix='')}`", _advice(each.fix)) for each in problems}
        parts += [f"## {heading}", _table(["message", "what to do"], sorted(rows))]
    return "\n\n".join(parts)


def main() -> None:
    """Write all of it into the checkout that is the working directory."""
    for path, text in generate(Path.cwd()).items():
        path.write_text(text, encoding="utf-8")


def _structures(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """Return the structures that a type is made of."""
    if isinstance(kind, inspect.StructType):
        yield kind
        for each in kind.fields:
            yield from _structures(each.type)
    for name in ("type", "item_type", "value_type"):
        if isinstance(getattr(kind, name, None), inspect.Type):
            yield from _structures(getattr(kind, name))
    for each in getattr(kind, "types", ()):
        yield from _structures(each)


def _complete(component: dict[str, Any], kind: inspect.StructType) -> None:
    """Add to the schema of a structure what msgspec does not know: meanings, and which names there are."""
    component["description"] = python.cleandoc(kind.cls.__doc__ or "").partition("\n")[0]
    if issubclass(kind.cls, OneOf):
        component |= {"minProperties": 1, "maxProperties": 1}
    words = meanings(kind.cls)
    for each in kind.fields:
        key = component["properties"][each.encode_name]
        key.pop("uniqueItems", None)  # a set accepts an item twice
        if each.name in words:
            key["description"] = words[each.name]
        inner = each.type.type if isinstance(each.type, inspect.Metadata) else each.type
        if isinstance(inner, inspect.DictType) and isinstance(inner.key_type, inspect.EnumType):
            key["propertyNames"] = {"$ref": f"#/$defs/{inner.key_type.cls.__name__}"}


def _names(setting: inspect.Field) -> str:
    """Return the names that the value can have, as the end of its meaning."""
    kind = setting.type
    if not isinstance(kind, inspect.EnumType | inspect.LiteralType):
        return ""
    return f": {', '.join(f'`{name}`' for name in names_of(kind))}"


def _default(setting: inspect.Field, kind: type) -> str:
    if setting.required:
        return "required"
    if setting.default_factory is not NODEFAULT:
        return NO_DEFAULT if setting.default_factory is dict else "those below"
    value = setting.default
    if value is NODEFAULT and issubclass(kind, schema.SharedSettings) and setting.name != "policy":
        value = getattr(ModelSettings(), setting.name, UNSET)  # no place says anything
    if value in (NODEFAULT, UNSET, None, (), frozenset(), NO_PARAMETERS):
        return NO_DEFAULT
    if isinstance(value, schema.PolicyChoice):
        return f"`{value.name}`"
    return f"`{_shown(value)}`"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return str(getattr(value, "value", value))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def _part(match: re.Match[str]) -> str:
    name = match["name"]
    text = messages() if name == MESSAGES else "\n\n".join(map(_section, TABLES[name]))
    return f"{match['begin']}\n{text}\n\n{match['end']}"


def _section(section: tuple[str, str, type]) -> str:
    heading, header, kind = section
    table = (results_table if is_dataclass(kind) else settings_table)(header, kind)
    return f"### {heading}\n\n{table}" if heading else table


def _advice(fix: str) -> str:
    return fix if fix.strip(PLACEHOLDER) else AS_IT_SAYS


def _sources(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _nodes(tree: ast.AST, kind: type[Node]) -> Iterator[Node]:
    return (node for node in ast.walk(tree) if isinstance(node, kind))


def _problems(path: Path) -> Iterator[Problem]:
    """Return the problems that a source reports, with a placeholder for what differs."""
    if path.name.startswith(EMULATED):
        return
    for function in _nodes(_tree(path), ast.FunctionDef):
        texts = [*_assigned(_tree(path).body), *_assigned(_nodes(function, ast.Assign))]
        for call in _nodes(function, ast.Call):
            known = {name: value for line, name, value in texts if line <= call.lineno}
            members = {
                name: _template(known.get(value.id, value) if isinstance(value, ast.Name) else value)
                for name, value in _arguments(call, path).items()
            }
            shown = {name: members[name] for name in ("expected", "found", "fix") if name in members}
            setting = members.get("path", "")
            if members.get("expected", PLACEHOLDER) != PLACEHOLDER:  # else the tables of settings say it
                yield Problem(path="" if setting == PLACEHOLDER else setting, **shown)


def _assigned(statements: Iterable[ast.AST]) -> Iterator[tuple[int, str, ast.expr]]:
    """Return the line, name and value of each assignment, also of those of several names, in their order."""
    assignments = [each for each in statements if isinstance(each, ast.Assign)]
    for each in sorted(assignments, key=lambda assignment: assignment.lineno):
        target, value = each.targets[0], each.value
        pairs: Iterable[tuple[ast.expr, ast.expr]] = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, value.elts, strict=True)
        yield from ((each.lineno, name.id, text) for name, text in pairs if isinstance(name, ast.Name))


@cache
def _makers(path: Path) -> Mapping[str, ast.arguments]:
    """Return the arguments of the functions by which a file makes problems, by their names."""
    functions = [each for source in (*SHARED, path) for each in _nodes(_tree(source), ast.FunctionDef)]
    return {
        each.name: each.args
        for each in functions
        if each.returns is not None
        and ast.unparse(each.returns) in MAKERS
        and "expected" in [argument.arg for argument in each.args.args]
    }


def _arguments(call: ast.Call, path: Path) -> dict[str, ast.expr]:
    """Return the arguments of a call by name, if it makes a problem: directly, or by a function that does."""
    if not isinstance(call.func, ast.Name):
        return {}
    given = {each.arg: each.value for each in call.keywords if each.arg}
    maker = _makers(path).get(call.func.id)
    if maker is None:
        return given
    names, defaults = [each.arg for each in maker.args], maker.defaults
    omitted = zip(names[len(names) - len(defaults) :], defaults, strict=True)
    return {**dict(omitted), **dict(zip(names, call.args, strict=False)), **given}


def _answers() -> list[tuple[str, str, str]]:
    """Return what a client may receive: message, status and advice."""
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    rows = set()
    for path in sorted(SOURCES.rglob("*.py")):
        for call in _nodes(_tree(path), ast.Call):
            kind = kinds.get(getattr(call.func, "id", ""))
            if call.args and kind and issubclass(kind, RouterError) and kind is not errors.ConfigurationError:
                message = _template(call.args[0])
                if message.strip(PLACEHOLDER):
                    rows.add((f"`{message}`", kind.status, kind.advice))
    return sorted(rows)


def _template(node: ast.AST) -> str:
    """Return a text with a placeholder for what differs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.Constant) else PLACEHOLDER for each in node.values]
        return "".join(map(str, parts))
    return PLACEHOLDER


if __name__ == "__main__":
    main()
