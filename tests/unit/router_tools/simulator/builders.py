"""Builders of small worlds and workloads, and jobs that record when they ended."""

from typing import Any

from router_backend.core.records.outcome import Fault
from router_backend.core.records.variant import Device
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.job import Job
from router_tools.simulator.service_law import AffineServiceLaw
from router_tools.simulator.workload import Poisson, Workload, log_uniform
from router_tools.simulator.world import DynamicBatching, World, WorldVariant


def variant(
    name: str = "gpu",
    base_ms: float = 2.0,
    per_item_ms: float = 1.0,
    *,
    concurrency: int = 1,
    told_concurrency: int | None = None,
    max_batch_size: int = 0,
    noise_sigma: float = 0.0,
    batching: DynamicBatching | None = None,
    processor: str | None = None,
    hidden_load: float = 0.0,
    power_w: float | None = 50.0,
    cold_factor: float = 1.0,
) -> WorldVariant:
    return WorldVariant(
        name=name,
        device=Device.GPU,
        concurrency=concurrency,
        told_concurrency=told_concurrency or concurrency,
        max_batch_size=max_batch_size,
        law=AffineServiceLaw(base_ms, per_item_ms),
        noise_sigma=noise_sigma,
        batching=batching,
        processor=processor,
        hidden_load=hidden_load,
        power_w=power_w,
        cold_factor=cold_factor,
    )


def three_devices(noise_sigma: float = 0.05) -> World:
    return World(
        "three",
        "Three devices.",
        (
            variant("gpu", 2.3, 0.8, noise_sigma=noise_sigma),
            variant("ane", 0.9, 1.5, noise_sigma=noise_sigma),
            variant("cpu", 6.0, 7.5, noise_sigma=noise_sigma, concurrency=2),
        ),
    )


def workload(load: float | None = 0.4, requests: int = 500, **changes: Any) -> Workload:
    sizes = {(batch_size, 1): share for batch_size, share in log_uniform(1, 32).items()}
    return Workload(
        **{"name": "test", "description": "", "arrivals": Poisson(), "sizes": sizes}
        | {"load": load, "requests": requests}
        | changes
    )


class TimedJob(Job):
    """Records when it was answered or failed."""

    def __init__(
        self,
        agenda: Agenda,
        work_s: float,
        batch_size: int = 1,
        variant_name: str = "gpu",
        luck: float | None = None,
    ) -> None:
        lucks = {} if luck is None else {variant_name: luck}
        super().__init__(batch_size, 1, {variant_name: work_s}, lucks)
        self.agenda = agenda
        self.answered_s: float | None = None
        self.failed_s: float | None = None
        self.fault: Fault | None = None

    def answered(self) -> None:
        assert self.answered_s is None
        assert self.failed_s is None
        self.answered_s = self.agenda.now_s

    def failed(self, fault: Fault) -> None:
        assert self.answered_s is None
        assert self.failed_s is None
        self.failed_s = self.agenda.now_s
        self.fault = fault
