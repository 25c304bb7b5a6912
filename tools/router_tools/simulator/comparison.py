"""Comparison of policies in one or more cases, over several seeds and in several processes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from router_tools.errors import ToolError
from router_tools.simulator.metrics import RunMetrics, measure
from router_tools.simulator.oracle import Oracle, RefusingOracle
from router_tools.simulator.policy_choice import check_policies
from router_tools.simulator.record import RunRecord
from router_tools.simulator.run import run
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World


@dataclass(frozen=True)
class Case:
    """Policies to compare in one world under one workload.

    Args:
        name: the name of the case.
        world: the world.
        workload: the workload.
        policies: the names of the policies; the oracle is added.
        coverage: target coverage of the router's prediction intervals.
    """

    name: str
    world: World
    workload: Workload
    policies: tuple[str, ...]
    coverage: float = 0.9

    def __post_init__(self) -> None:
        """Check that the case can run.

        Raises:
            ToolError: a policy is unknown, or a batch size exceeds the limit of every variant.
        """
        check_policies(self.policies, self.world)
        largest = max(batch_size for batch_size, _ in self.workload.sizes)
        limits = [variant.max_batch_size for variant in self.world.variants]
        if all(0 < limit < largest for limit in limits):
            raise ToolError(
                f"workload '{self.workload.name}': batch sizes: expected at most {max(limits)}, the limit "
                f"of the variants of '{self.world.name}', found {largest}"
            )

    @property
    def oracle(self) -> str:
        """The oracle to compare with: one that refuses late requests if the router may."""
        return RefusingOracle.name if self.workload.refuse_late else Oracle.name

    @property
    def runs(self) -> tuple[str, ...]:
        """The policies to run for each seed, the oracle first."""
        return (self.oracle, *(policy for policy in self.policies if policy != self.oracle))


@dataclass(frozen=True)
class SeedResult:
    """Results of one seed of a case.

    Args:
        case: the name of the case.
        seed: the seed.
        metrics: the metrics by policy.
        records: the full records by policy; empty unless the seed is plotted.
    """

    case: str
    seed: int
    metrics: dict[str, RunMetrics]
    records: dict[str, RunRecord]


@dataclass(frozen=True)
class Comparison:
    """Results of a case.

    Args:
        case: the case.
        seeds: the seeds.
        metrics: by policy, the metrics of each seed.
        records: by policy, the full record of the first seed.
    """

    case: Case
    seeds: tuple[int, ...]
    metrics: dict[str, list[RunMetrics]]
    records: dict[str, RunRecord]


def compare(
    cases: Sequence[Case], seeds: Sequence[int], processes: int, advance: Callable[[], None]
) -> list[Comparison]:
    """Run every policy of every case with every seed.

    Args:
        cases: the cases.
        seeds: the seeds for all cases, at least one.
        processes: the number of worker processes; with 1, everything runs in this process.
        advance: called when a seed of a case is done.

    Returns:
        The results of each case, in the same order.
    """
    tasks = [(case, seed, seed == seeds[0]) for case in cases for seed in seeds]
    if processes == 1:
        results = []
        for task in tasks:
            results.append(run_seed(*task))
            advance()
    else:
        results = _run_in_processes(tasks, processes, advance)
    return [_gather(case, seeds, results) for case in cases]


def run_seed(case: Case, seed: int, keep_records: bool) -> SeedResult:
    """Run every policy of a case with one seed."""
    records = {policy: run(case.world, case.workload, policy, seed, case.coverage) for policy in case.runs}
    oracle = records[case.oracle]
    metrics = {policy: measure(record, oracle) for policy, record in records.items()}
    return SeedResult(case.name, seed, metrics, records if keep_records else {})


def _run_in_processes(
    tasks: Sequence[tuple[Case, int, bool]], processes: int, advance: Callable[[], None]
) -> list[SeedResult]:
    # Spawn instead of fork: a forked process would inherit the state of the progress bar's thread.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run_seed, *task) for task in tasks]
        for _ in as_completed(futures):
            advance()
        return [future.result() for future in futures]


def _gather(case: Case, seeds: Sequence[int], results: Sequence[SeedResult]) -> Comparison:
    by_seed = {result.seed: result for result in results if result.case == case.name}
    metrics = {policy: [by_seed[seed].metrics[policy] for seed in seeds] for policy in case.runs}
    return Comparison(case, tuple(seeds), metrics, by_seed[seeds[0]].records)
