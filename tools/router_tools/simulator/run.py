"""One run: one policy, in one world, under one workload, with one seed."""

from dataclasses import replace

import numpy as np

from router_backend.core.policies.base import Policy
from router_backend.core.records.learned import LearnedModel
from router_backend.core.records.variant import Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.array import Array
from router_tools.simulator.draw import Draw, Requests, draw
from router_tools.simulator.jobs import best_variants, deadlines_ms, routed_jobs
from router_tools.simulator.oracle import Oracle
from router_tools.simulator.policy_choice import policy_maker
from router_tools.simulator.randomness import router_rng
from router_tools.simulator.record import EXECUTION, Recorder, RunRecord
from router_tools.simulator.simulation import Observe, Simulation
from router_tools.simulator.stations.build import build_stations
from router_tools.simulator.timeline import begin
from router_tools.simulator.warm_up import reference_length, warm_up
from router_tools.simulator.workload import Workload
from router_tools.simulator.world import World


def run(
    world: World,
    workload: Workload,
    policy: str,
    seed: int,
    coverage: float = 0.9,
    observe: Observe | None = None,
) -> RunRecord:
    """Simulate a workload with a policy.

    Args:
        world: the variants.
        workload: the requests.
        policy: a name of the router's registry, or of ORACLES.
        seed: the random seed; policies with the same seed get the same requests and service times.
        coverage: share of latencies that the router's intervals should contain.
        observe: called with each answered request, as the server's trace is; `None` for no call.
    """
    return _run(world, workload, policy, seed, coverage, observe)[0]


RESTART_SEED = 1_000_003
"""Added to the seed of a run for the one before its restart."""
ABSENT_S = 60.0


def _run(
    world: World, workload: Workload, policy: str, seed: int, coverage: float, observe: Observe | None
) -> tuple[RunRecord, ModelRouter]:
    drawn = draw(world, workload, seed)
    agenda = Agenda()
    stations = build_stations(world, agenda)
    first_length = reference_length(workload, drawn.requests)
    chosen = policy_maker(policy, world, workload, first_length, stations)()
    announce = chosen.announce if isinstance(chosen, Oracle) else None
    if announce is not None:  # the router's predictions must not restrict the oracle
        workload = replace(workload, told_deadline=False, refuse_late=False)
    router = _router(world, workload, agenda, seed, coverage, chosen)
    if workload.requests_before_restart and announce is None:
        learned = _learned_before(world, workload, policy, seed, coverage)
        router.model(world.name).restore(learned, ABSENT_S)
    recorder = Recorder(len(drawn.requests.arrival_s))
    simulation = Simulation(
        world.name, router, agenda, stations, recorder, announce, observe, workload.max_in_flight
    )
    warm_up(world, workload, seed, simulation, agenda)
    begin_s = agenda.now_s
    begin(world, drawn, stations, agenda)
    jobs = routed_jobs(world, workload, drawn.requests, simulation)
    for job, time_s in zip(jobs, (drawn.requests.arrival_s + begin_s).tolist(), strict=True):
        agenda.run_until(time_s)
        simulation.arrive(job)
    agenda.run_out()
    return _record(world, workload, drawn, recorder, begin_s), router


def _learned_before(
    world: World, workload: Workload, policy: str, seed: int, coverage: float
) -> LearnedModel:
    """Return what a router has learned from an earlier run, without events."""
    earlier = replace(workload, requests=workload.requests_before_restart, requests_before_restart=0)
    _, router = _run(world.calm(), earlier, policy, seed + RESTART_SEED, coverage, None)
    return router.model(world.name).learned()


def _router(
    world: World, workload: Workload, agenda: Agenda, seed: int, coverage: float, policy: Policy
) -> ModelRouter:
    share = workload.hedge_share
    config = ModelSettings(
        coverage=coverage, refuse_late=workload.refuse_late, hedge=share > 0.0, hedge_share=share
    )
    router = ModelRouter(config, clock=agenda.clock, rng=router_rng(seed), copies=workload.copies)
    variants = [
        Variant(variant.name, variant.device, variant.told_concurrency, variant.max_batch_size)
        for variant in world.variants
    ]
    router.register_model(world.name, variants=variants)
    router.set_routing_policy(lambda: policy)
    return router


def _preferred(requests: Requests) -> Array:
    """Return which requests have the highest priority."""
    priority = np.zeros(len(requests.arrival_s)) if requests.priority is None else requests.priority
    preferred: Array = priority == priority.max()
    return preferred


def _record(world: World, workload: Workload, drawn: Draw, recorder: Recorder, begin_s: float) -> RunRecord:
    executions = np.array(recorder.executions, dtype=EXECUTION)
    executions["finished_s"] -= begin_s
    return RunRecord(
        variants=tuple(variant.name for variant in world.variants),
        arrival_s=drawn.requests.arrival_s,
        deadline_ms=deadlines_ms(world, workload, drawn.requests),
        latency_ms=np.array(recorder.latency_ms),
        refused=np.array(recorder.refused),
        preferred=_preferred(drawn.requests),
        best=best_variants(world, drawn.requests),
        calm_s=world.calm_from * drawn.length_s,
        power_w=tuple(
            float("nan") if variant.power_w is None else variant.power_w / variant.concurrency
            for variant in world.variants
        ),
        executions=executions,
        extra_load=recorder.hedge_s / recorder.first_s if recorder.first_s else 0.0,
        decisions_per_s=recorder.decisions / recorder.router_s,
    )
