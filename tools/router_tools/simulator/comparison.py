"""Compares policies in one case over several seeds, in several processes."""

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
    """What is compared.

    Args:
        name: how it is called.
        world: where.
        workload: what.
        policies: which; the oracle need not be named.
        coverage: the share of latencies that the router's intervals are to hold.
    """

    name: str
    world: World
    workload: Workload
    policies: tuple[str, ...]
    coverage: float = 0.9

    def __post_init__(self) -> None:
        """Refuse what cannot run.

        Raises:
            ToolError: a policy that there is not, or requests that no variant takes.
        """
        check_policies(self.policies, self.world)
        largest = max(batch_size for batch_size, _ in self.workload.sizes)
        limits = [variant.max_batch_size for variant in self.world.variants]
        if all(0 < limit < largest for limit in limits):
            raise ToolError(
                f"workload '{self.workload.name}': batch sizes: expected at most {max(limits)}, which is "
                f"what the variants of '{self.world.name}' take, found {largest}"
            )

    @property
    def oracle(self) -> str:
        """The oracle that policies are held against: one that refuses where the router may refuse."""
        return RefusingOracle.name if self.workload.refuse_late else Oracle.name

    @property
    def runs(self) -> tuple[str, ...]:
        """What runs for each seed."""
        return (self.oracle, *(policy for policy in self.policies if policy != self.oracle))


@dataclass(frozen=True)
class SeedResult:
    """What came of one seed.

    Args:
        case: the name of its case.
        seed: the seed.
        metrics: by policy, its figures.
        records: by policy, everything; only of seeds that are to be drawn.
    """

    case: str
    seed: int
    metrics: dict[str, RunMetrics]
    records: dict[str, RunRecord]


@dataclass(frozen=True)
class Comparison:
    """What came of a case.

    Args:
        case: what was compared.
        seeds: with which seeds.
        metrics: by policy, its figures for each of them.
        records: by policy, everything of the first of them.
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
        cases: what to compare.
        seeds: at least one; the same for all.
        processes: how many to use; 1: this one.
        advance: called when a seed of a case is done.
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
    # A forked process inherits the progress bar's thread half way: start them afresh.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run_seed, *task) for task in tasks]
        for _ in as_completed(futures):
            advance()
        return [future.result() for future in futures]


def _gather(case: Case, seeds: Sequence[int], results: Sequence[SeedResult]) -> Comparison:
    own = {result.seed: result for result in results if result.case == case.name}
    metrics = {policy: [own[seed].metrics[policy] for seed in seeds] for policy in case.runs}
    return Comparison(case, tuple(seeds), metrics, own[seeds[0]].records)
