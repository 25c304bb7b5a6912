"""Reads a suite from its data file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from router_tools.simulator.catalog import find
from router_tools.simulator.comparison import Case
from router_tools.simulator.document import Document, read_document
from router_tools.simulator.policy_choice import all_policies, resolve_static
from router_tools.simulator.suite import SuiteCase, Target
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world_file import read_world

_OF_THE_WORKLOAD = ("load", "requests", "told_deadline")


def read_suite(path: Path) -> list[SuiteCase]:
    """Read the cases of a suite.

    Raises:
        ToolError: the file, or one that it names, is wrong: where, what was expected and found.
    """
    document = read_document(path, "suite")
    names: list[str] = []
    cases = []
    for index, entry in enumerate(document.content["cases"]):
        if entry["name"] in names:
            raise document.error(
                ("cases", index, "name"), f"expected a name of its own, found '{entry['name']}' again"
            )
        names.append(entry["name"])
        cases.append(_case(document, index, entry))
    return cases


def _case(document: Document, index: int, entry: dict[str, Any]) -> SuiteCase:
    folder = document.path.parent
    world = read_world(find("worlds", entry["world"], folder))
    workload = read_workload(find("workloads", entry["workload"], folder))
    workload = replace(workload, **{name: entry[name] for name in _OF_THE_WORKLOAD if name in entry})
    if "warm_up_batch_sizes" in entry:
        workload = replace(workload, warm_up_batch_sizes=tuple(entry["warm_up_batch_sizes"]))
    if entry.get("calm", False):
        world = world.calm()
    everyone = all_policies(world, workload)
    listed = entry.get("policies", document.content.get("policies", everyone))
    policies = tuple(resolve_static(name, everyone) for name in listed)
    case = Case(entry["name"], world, workload, policies, entry.get("coverage", 0.9))
    targets = tuple(Target(**target) for target in entry.get("targets", ()))
    for number, target in enumerate(targets):
        if target.policy not in case.runs:
            raise document.error(
                ("cases", index, "targets", number, "policy"),
                f"expected one of the policies of the case ({', '.join(case.runs)}), found '{target.policy}'",
            )
    return SuiteCase(case, targets)
