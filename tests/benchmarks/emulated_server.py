"""A Triton server with the emulated devices of a world, and a router for each policy."""

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton_grpc

from router_backend.config.schema import RouterParameters
from router_backend.executors.emulated_request import REQUEST_PARAMETER
from router_tools.embedded_triton import EmbeddedTriton
from router_tools.emulation.model_config import emulated_name
from router_tools.emulation.repository import write_repository
from router_tools.simulator.world import World
from tests.benchmarks.open_loop import OpenLoop, TimedRequest

LARGEST_BATCH = 32
THREADS = 256
HOP_REQUESTS = 200
HOP_SERVICE_MS = 5.0
WARM_UP_CALLS = 1 + len(RouterParameters(variants=()).warmup_batch_sizes)
WARM_UP_TIMEOUT_S = 60.0


class EmulatedServer:
    """A running server of the benchmark.

    Args:
        triton: the running server, with the variants loaded.
        world: the world.
    """

    def __init__(self, triton: EmbeddedTriton, world: World) -> None:
        self._client = triton_grpc.InferenceServerClient(triton.grpc_url)
        self._variants = [emulated_name(variant.name) for variant in world.variants]

    @contextmanager
    def router(self, policy: str) -> Iterator[OpenLoop]:
        """Load and warm up a router with a policy; unload it on exit."""
        name = router_name(policy)
        warm_at = self._executions() + len(self._variants) * WARM_UP_CALLS
        self._client.load_model(name)
        deadline_s = time.monotonic() + WARM_UP_TIMEOUT_S
        while self._executions() < warm_at:
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"router '{name}' was not warm after {WARM_UP_TIMEOUT_S:g} s")
            time.sleep(0.1)
        yield OpenLoop(self._client, name)
        self._client.unload_model(name)

    def hop_ms(self, policy: str) -> float:
        """Return the median overhead of the idle server: latency minus service time, in ms."""
        service_times = json.dumps(dict.fromkeys(self._variants, HOP_SERVICE_MS))
        requests = [TimedRequest(0.0, 1, {REQUEST_PARAMETER: service_times})] * HOP_REQUESTS
        with self.router(policy) as router:
            return float(np.median(router.run_in_turn(requests))) - HOP_SERVICE_MS

    def _executions(self) -> int:
        models = [self._client.get_inference_statistics(name).model_stats[0] for name in self._variants]
        return sum(each.inference_stats.success.count for each in models)


@contextmanager
def serve(world: World, policies: Sequence[str]) -> Iterator[EmulatedServer]:
    """Run a server with the emulated devices of a world and a router for each policy."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        routers = {
            router_name(policy): {"policy": policy, "worker_threads": f"{THREADS}"} for policy in policies
        }
        write_repository(repository, world, routers, LARGEST_BATCH)
        variants = [f"--load-model={emulated_name(variant.name)}" for variant in world.variants]
        with EmbeddedTriton(
            repository,
            backend_settings={"python": {"thread-pool-size": THREADS}},
            model_control_mode="explicit",
            extra_arguments=variants,
        ) as triton:
            yield EmulatedServer(triton, world)


def router_name(policy: str) -> str:
    """Return the name of the router model of a policy."""
    return f"router_{policy.replace(':', '_')}"
