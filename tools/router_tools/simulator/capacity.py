"""Capacity of a world, and the arrival rate that a load corresponds to."""

import numpy as np
from scipy.optimize import linprog

from router_tools.errors import ToolError
from router_tools.simulator.workload import Recorded, Workload
from router_tools.simulator.world import World, WorldVariant


def capacity_per_s(world: World, workload: Workload) -> float:
    """Return the requests per second that all variants can serve together, with optimal assignment by size.

    It is the largest λ for which rates r_jk of each size j on each variant k exist with Σ_k r_jk = p_j λ (all
    requests are served) and Σ_j r_jk S_jk <= c_k (no variant is overloaded), found by linear programming.
    Events, dynamic batching and shared processors are ignored.

    Raises:
        ToolError: the service times differ by too many orders of magnitude for the solver.
    """
    sizes, shares = zip(*workload.sizes.items(), strict=True)
    service_s = np.array([[variant.law.mean_ms(*size) / 1e3 for variant in world.variants] for size in sizes])
    # The variables are the rates r_jk, size by size, followed by λ.
    served = np.hstack([np.kron(np.eye(len(sizes)), np.ones(len(world.variants))), -np.array([shares]).T])
    busy = np.hstack([np.hstack([np.diag(row) for row in service_s]), np.zeros((len(world.variants), 1))])
    solution = linprog(
        c=np.append(np.zeros(service_s.size), -1.0),
        A_eq=served,
        b_eq=np.zeros(len(sizes)),
        A_ub=busy,
        b_ub=[variant.concurrency for variant in world.variants],
    )
    if solution.x is None or solution.x[-1] <= 0.0:
        raise ToolError(
            f"world '{world.name}': expected service times of similar magnitude, found "
            f"{service_s.min():g} s to {service_s.max():g} s: correct the wrong ones"
        )
    return float(solution.x[-1])


def variant_capacity_per_s(variant: WorldVariant, workload: Workload) -> float:
    """Return the requests per second that one variant can serve of the workload's mix of sizes: c / E[S]."""
    mean_ms = sum(share * variant.law.mean_ms(*size) for size, share in workload.sizes.items())
    return variant.concurrency * 1e3 / mean_ms


def arrivals_per_s(world: World, workload: Workload) -> float:
    """Return the arrival rate per second: by the workload's load, or as recorded."""
    if workload.load is not None:
        return workload.load * capacity_per_s(world, workload)
    assert isinstance(workload.arrivals, Recorded)
    return workload.requests / float(workload.arrivals.arrival_s[workload.requests - 1])


def offered_load(world: World, workload: Workload) -> float:
    """Return the arrival rate as a fraction of the world's capacity."""
    return arrivals_per_s(world, workload) / capacity_per_s(world, workload)
