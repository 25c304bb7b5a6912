"""`TritonPythonModel`: the router as Triton's Python backend runs it."""

from __future__ import annotations  # while Triton completes a configuration, its API has no requests yet

import json
import time
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from router_backend.config.completion import complete
from router_backend.config.load import read_router_setup
from router_backend.runtime.healer import Healer
from router_backend.runtime.own_server import load_again
from router_backend.runtime.readiness import Readiness
from router_backend.runtime.router_model import RouterModel
from router_backend.serving.answers import Answers
from router_backend.serving.client_request import Arrival
from router_backend.serving.copies import Copies
from router_backend.serving.loaded import is_loaded
from router_backend.serving.measuring import Measuring
from router_backend.serving.metrics import Metrics
from router_backend.serving.own_request import OwnRequest
from router_backend.serving.request_handler import RequestHandler
from router_backend.serving.responses import triton_log
from router_backend.serving.warmup import Warmup


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
        config = auto_complete_model_config.as_dict()  # the configuration itself, not a copy
        complete(config, read_router_setup(config, repository))
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Read the configuration and start the threads.

        Raises:
            ConfigurationError: it is invalid; Triton shows the text as the model's reason.
        """
        config: dict[str, Any] = json.loads(args["model_config"])
        model = RouterModel(config, Path(args["model_repository"]), "Python", triton_log())
        setup, router, errors = model.setup, model.router, model.errors
        self._model = model
        self._readiness = Readiness(setup, router, lambda variant: is_loaded(variant, errors))
        answers = Answers(model)
        output_names = [output.name for output in setup.signature.outputs]
        measuring = Measuring(output_names, answers, self._readiness)
        self._warmup = Warmup(setup, router, measuring)
        self._copies = Copies(measuring)
        self._own_request = OwnRequest(setup, self._get_ready)
        self._handler = RequestHandler(
            model, self._readiness, answers, self._copies, self._work_within_request
        )
        self._healer = Healer(setup, router, self._readiness, load_again, triton_log())
        self._handler.start()
        self._healer.start()
        model.start(args["model_instance_name"], Metrics().series)
        self._own_request.start()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        """Hand every request to a thread, which sends its response."""
        for request in requests:
            if self._own_request.take(request):
                continue
            self._handler.submit(Arrival(request, request.get_response_sender(), time.monotonic()))

    def is_ready(self) -> bool:
        """Return whether a variant is loaded; Triton from 26.03 on asks this for the router's readiness."""
        return self._readiness.is_ready()

    def finalize(self) -> None:
        """Finish what is in flight, then end the threads."""
        self._healer.stop()
        self._own_request.stop()
        self._model.stop_watching()
        self._handler.stop()
        self._model.close()

    def _work_within_request(self, request: pb_utils.InferenceRequest) -> None:
        """Call other models while a client's request is in flight, which is the only safe time."""
        if self._readiness.due():
            self._own_request.client_arrived()
            self._look()
        if self._warmup.waiting or self._copies.waiting:
            self._own_request.send(request.inputs())

    def _look(self) -> None:
        for variant in self._readiness.look():
            self._warmup.add(variant)

    def _get_ready(self) -> None:
        self._look()
        while self._warmup.waiting or self._copies.waiting:
            self._warmup.run()
            self._copies.run()
