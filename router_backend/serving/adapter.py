"""`TritonPythonModel`: the router as Triton's Python backend runs it."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import gc
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import triton_python_backend_utils as pb_utils

from router_backend.config.load import DECISION_OUTPUT, RouterSetup, check_completed, read_router_setup
from router_backend.core.router import ModelRouter
from router_backend.core.variants.capacity import Capacity
from router_backend.errors import OverloadedError, RouterError
from router_backend.runtime.config_watcher import watch_config
from router_backend.runtime.error_classifier import ErrorClassifier
from router_backend.runtime.shared_capacity import SharedCapacity, shared_file
from router_backend.runtime.trace_writer import open_trace
from router_backend.runtime.variant_description import describe
from router_backend.runtime.worker_pool import WorkerPool
from router_backend.serving.copies import Copies
from router_backend.serving.metrics_writer import MetricsWriter
from router_backend.serving.own_request import OwnRequest
from router_backend.serving.readiness import Readiness
from router_backend.serving.request_handler import RequestHandler
from router_backend.serving.responses import error_response, log_defect, send
from router_backend.serving.warmup import Warmup


class Arrival(NamedTuple):
    """A request that waits for a thread, and the monotonic time of its arrival."""

    request: pb_utils.InferenceRequest
    sender: pb_utils.InferenceResponseSender
    at_s: float


class TritonPythonModel:
    """A router model.

    `execute` takes each request's response sender and returns at once; a thread of the pool answers. This is
    the only way to keep a slow request from blocking fast ones: a synchronous `execute` blocks its instance,
    and coroutines share a small pool whose size cannot be configured.
    """

    @staticmethod
    def auto_complete_config(auto_complete_model_config: pb_utils.ModelConfig) -> pb_utils.ModelConfig:
        """Fill in, from the variants, the inputs, outputs and batch size that config.pbtxt omits."""
        repository = Path(pb_utils.get_model_dir()).parent.parent
        model = read_router_setup(auto_complete_model_config.as_dict(), repository)
        _complete(auto_complete_model_config, model)
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Read the configuration and start the threads.

        Raises:
            ConfigurationError: it is invalid; Triton shows the text as the model's reason.
        """
        config: dict[str, Any] = json.loads(args["model_config"])
        model = read_router_setup(config, Path(args["model_repository"]).parent)
        check_completed(config, model)
        self._shared_capacity = SharedCapacity(shared_file(Path(args["model_repository"]).parent))
        router = ModelRouter(
            model.settings,
            capacity=Capacity(self._shared_capacity),
            copies=bool(model.parameters.warmup_batch_sizes),
            on_defect=log_defect,
        )
        described = describe(model.usable, model.repository, pb_utils.Logger.log_warn)
        left_out = [variant for variant in model.variants if variant.name in model.left_out]
        router.register_model(model.name, variants=[*described, *left_out])
        for variant, reason in model.left_out.items():
            router.model(model.name).set_ready(variant, f"left out: {reason}")
            pb_utils.Logger.log_warn(
                f"router '{model.name}': variant '{variant}' is left out: {reason}; once it is corrected, "
                f"unload and load '{model.name}', too"
            )
        router.experiments.configure(model.routing.experiments)
        errors = ErrorClassifier.of([variant.name for variant in described], model.repository)
        self._readiness = Readiness(model, router, errors)
        self._warmup = Warmup(model, router, self._readiness, errors)
        self._copies = Copies(model, self._readiness, errors)
        self._own_request = OwnRequest(model, self._get_ready)
        self._trace = open_trace(model, pb_utils.Logger.log_warn)
        self._handler = RequestHandler(model, router, self._readiness, errors, self._copies, self._trace)
        self._pool = WorkerPool(self._answer, model.parameters.worker_threads, model.parameters.max_in_flight)
        self._metrics = _metrics_writer(model, router, args["model_instance_name"])
        self._watcher = watch_config(model, router, pb_utils.Logger.log_info, pb_utils.Logger.log_warn)
        gc.freeze()  # later garbage collections, while requests wait, need not scan these objects
        if self._metrics is not None:
            self._metrics.start()
        if self._watcher is not None:
            self._watcher.start()
        self._own_request.start()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        """Hand every request to a thread, which sends its response."""
        for request in requests:
            if self._own_request.take(request):
                continue
            arrival = Arrival(request, request.get_response_sender(), time.monotonic())
            try:
                self._pool.submit(arrival)
            except OverloadedError as error:
                self._handler.overloaded(request, arrival.at_s)
                send(arrival.sender, error_response(error))

    def is_ready(self) -> bool:
        """Return whether a variant is loaded; Triton from 26.03 on asks this for the router's readiness."""
        return self._readiness.is_ready()

    def finalize(self) -> None:
        """Finish what is in flight, then end the threads."""
        self._own_request.stop()
        if self._watcher is not None:
            self._watcher.close()
        self._pool.drain()
        if self._trace is not None:
            self._trace.close()
        if self._metrics is not None:
            self._metrics.close()
        self._shared_capacity.close()

    def _answer(self, arrival: Arrival) -> None:
        try:
            response = self._handler.answer(arrival.request, arrival.at_s)
        except Exception as defect:  # noqa: BLE001 - a client waits for an answer
            log_defect(defect)
            response = error_response(
                RouterError(f"defect in the router: {defect!r}; Triton's log has the traceback")
            )
        try:
            if self._readiness.due():
                self._look_within_request(arrival.request)
            if self._copies.waiting:
                self._own_request.send(arrival.request.inputs())
        finally:
            send(arrival.sender, response)

    def _look_within_request(self, request: pb_utils.InferenceRequest) -> None:
        """Call other models while a client's request is in flight, which is the only safe time."""
        self._own_request.client_arrived()
        self._look()
        if self._warmup.waiting:
            self._own_request.send(request.inputs())

    def _look(self) -> None:
        for variant in self._readiness.look():
            self._warmup.add(variant)

    def _get_ready(self) -> None:
        self._look()
        while self._warmup.waiting or self._copies.waiting:
            self._warmup.run()
            self._copies.run()


def _complete(config: pb_utils.ModelConfig, model: RouterSetup) -> None:
    """Add what a configuration omits of its variants' signature, and the output for decisions, in place."""
    signature = model.signature
    declared = config.as_dict()
    outputs = {output["name"] for output in declared["output"]}
    if not declared["input"]:
        for tensor in signature.inputs:
            config.add_input(tensor.as_dict())
    if not outputs - {DECISION_OUTPUT.name}:
        for tensor in signature.outputs:
            config.add_output(tensor.as_dict())
    if DECISION_OUTPUT.name not in outputs:
        config.add_output(DECISION_OUTPUT.as_dict())
    if declared["max_batch_size"] == 0:
        config.set_max_batch_size(signature.max_batch_size)
    for output in declared["output"]:  # `add_output` takes no labels, but this is the configuration itself
        if output["name"] in model.labels and not output.get("label_filename"):
            output["label_filename"] = model.labels[output["name"]]


def _metrics_writer(model: RouterSetup, router: ModelRouter, instance: str) -> MetricsWriter | None:
    """Return the writer of the router's metrics; `None` if metrics are disabled."""
    if not model.parameters.metrics:
        return None
    return MetricsWriter(router, instance, model.parameters.metrics_interval_ms / 1e3)
