"""Reads a suite from its data file."""

from dataclasses import replace
from pathlib import Path

from msgspec import UNSET

from router_backend.typed_load import given
from router_tools.simulator.catalog import find
from router_tools.simulator.comparison import Case
from router_tools.simulator.document import Document, read_document
from router_tools.simulator.policy_choice import all_policies, resolve_static
from router_tools.simulator.schema.suite import CaseFile, SuiteFile
from router_tools.simulator.suite import SuiteCase, Target
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world_file import read_world

_OF_THE_WORKLOAD = (
    "load",
    "requests",
    "told_deadline",
    "warm_up_batch_sizes",
    "copies",
    "hedge_share",
    "requests_before_restart",
)


def read_suite(path: Path) -> list[SuiteCase]:
    """Read the cases of a suite.

    Raises:
        ToolError: everything that is wrong in the file, or in one that it names.
    """
    document = read_document(path, SuiteFile)
    return [_case(document, index, file) for index, file in enumerate(document.content.cases)]


def _case(document: Document[SuiteFile], index: int, file: CaseFile) -> SuiteCase:
    folder = document.path.parent
    world = read_world(find("worlds", file.world, folder))
    workload = read_workload(find("workloads", file.workload, folder))
    workload = replace(
        workload, **{name: value for name, value in given(file).items() if name in _OF_THE_WORKLOAD}
    )
    if file.calm:
        world = world.calm()
    everyone = tuple(all_policies(world, workload))
    listed = next(
        (each for each in (file.policies, document.content.policies) if each is not UNSET), everyone
    )
    policies = tuple(resolve_static(name, everyone) for name in listed)
    case = Case(file.name, world, workload, policies, file.coverage)
    targets = tuple(Target(**given(target)) for target in file.targets)
    for number, target in enumerate(targets):
        for field, policy in (("policy", target.policy), ("relative_to", target.relative_to)):
            if policy is not None and policy not in case.runs:
                raise document.error(
                    f"cases[{index}].targets[{number}].{field}",
                    f"one of the policies of the case ({', '.join(case.runs)})",
                    f"'{policy}'",
                )
    return SuiteCase(case, targets)
