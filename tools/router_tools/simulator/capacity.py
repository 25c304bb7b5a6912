"""How much work a world can do, and so how fast requests come at a load."""

import numpy as np
from scipy.optimize import linprog

from router_tools.errors import ToolError
from router_tools.simulator.workload import Recorded, Workload
from router_tools.simulator.world import World, WorldVariant


def capacity_per_s(world: World, workload: Workload) -> float:
    """Requests per second of all variants together, each size served where that pays most.

    The greatest λ for which rates r of each size j at each variant k exist with Σ_k r_jk = p_j λ, all
    requests served, and Σ_j r_jk S_jk <= c_k, no variant overloaded: a linear programme. Undisturbed: no
    event, nothing merged by a dynamic batcher, no processor shared.

    Raises:
        ToolError: the service times are so far apart that no answer can be computed.
    """
    sizes, shares = zip(*workload.sizes.items(), strict=True)
    service_s = np.array([[variant.law.mean_ms(*size) / 1e3 for variant in world.variants] for size in sizes])
    # The rates, size by size, then λ.
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
            f"world '{world.name}': expected service times that can be weighed against each other, found "
            f"{service_s.min():g} s to {service_s.max():g} s: correct those that are not meant"
        )
    return float(solution.x[-1])


def variant_capacity_per_s(variant: WorldVariant, workload: Workload) -> float:
    """Requests per second that one variant can serve of all sizes as they come: c / E[S]."""
    mean_ms = sum(share * variant.law.mean_ms(*size) for size, share in workload.sizes.items())
    return variant.concurrency * 1e3 / mean_ms


def arrivals_per_s(world: World, workload: Workload) -> float:
    """How many requests come per second: by the workload's load, or as they were recorded."""
    if workload.load is not None:
        return workload.load * capacity_per_s(world, workload)
    assert isinstance(workload.arrivals, Recorded)
    return workload.requests / float(workload.arrivals.arrival_s[workload.requests - 1])


def offered_load(world: World, workload: Workload) -> float:
    """Arrivals per second as a share of the world's capacity."""
    return arrivals_per_s(world, workload) / capacity_per_s(world, workload)
