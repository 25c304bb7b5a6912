"""ONNX variants on the real server: outputs, batches, and errors of variants that cannot load."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from router_tools.demo.images import random_images
from router_tools.demo.repository import TEMPLATE, variant_names
from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from tests.integration.model_repository import ModelRepository
from tests.onnx_models import write_doubler, write_lookup

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def router_host() -> RouterHost:
    return RouterHost.best()  # these tests are not about the router


ON_CPU = {"device": "cpu", "execution_provider": "CPUExecutionProvider"}
DOUBLER = """
input [ { name: "x" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
LOOKUP = """
input [ { name: "index" data_type: TYPE_INT64 dims: [ 1 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }, { name: "size" data_type: TYPE_INT64 dims: [ 1 ] } ]
dynamic_batching { preferred_batch_size: [ 3 ] max_queue_delay_microseconds: 20000000 }
"""
BATCH_OF_THREE = 3


class Repository(ModelRepository):
    """A model repository with variants that run ONNX files."""

    def add(
        self,
        name: str,
        tensors: str,
        parameters: dict[str, str],
        *,
        write: Callable[[Path], object] | None = write_doubler,
        max_batch_size: int = 8,
        kind: str = "KIND_CPU",
    ) -> None:
        version = self.folder / name / "1"
        version.mkdir(parents=True)
        shutil.copy(TEMPLATE / "squeezenet_cpu" / "1" / "model.py", version)
        config = (
            f'backend: "python"\nmax_batch_size: {max_batch_size}\n{tensors}\n'
            f"instance_group [ {{ kind: {kind} }} ]\n"
        )
        self._write(name, config, parameters)
        if write:
            write(version / "model.onnx")


@pytest.fixture(scope="module")
def repository(
    tmp_path_factory: pytest.TempPathFactory, squeezenet_fp32: Path, squeezenet_int8: Path
) -> Path:
    repository = Repository(tmp_path_factory.mktemp("onnx"))
    repository.squeezenet_variants(squeezenet_fp32, squeezenet_int8)
    repository.add("lookup", LOOKUP, ON_CPU, write=write_lookup)
    repository.add("unbatched", DOUBLER.replace("-1", "-1, -1"), ON_CPU, max_batch_size=0)
    repository.add("unknown_parameter", DOUBLER, {**ON_CPU, "intra_op_thread": "1"})
    repository.add("no_parameters", DOUBLER, {})
    repository.add("no_file", DOUBLER, ON_CPU, write=None)
    repository.add("wrong_name", DOUBLER.replace('"y"', '"z"'), ON_CPU)
    repository.add("wrong_type", DOUBLER.replace("FP32", "FP16"), ON_CPU)
    repository.add("one_at_a_time", DOUBLER, ON_CPU, write=lambda path: write_doubler(path, batch=1))
    cuda = {"device": "gpu", "execution_provider": "CUDAExecutionProvider"}
    repository.add("cuda_without_gpu", DOUBLER, cuda, kind="KIND_CPU")
    return repository.folder


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], repository: Path) -> EmbeddedTriton:
    return triton_server(repository)


@pytest.fixture(scope="module")
def grpc_client(server: EmbeddedTriton) -> Iterator[triton_grpc.InferenceServerClient]:
    with triton_grpc.InferenceServerClient(server.grpc_url) as client:
        yield client


@pytest.fixture(scope="module")
def http_client(server: EmbeddedTriton) -> Iterator[triton_http.InferenceServerClient]:
    with triton_http.InferenceServerClient(server.http_url, concurrency=4) as client:
        yield client


def infer(protocol: Any, client: Any, model: str, **arrays: np.ndarray) -> Any:
    inputs = []
    for name, array in arrays.items():
        tensor = protocol.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return client.infer(model, inputs)


def directly(path: Path, images: np.ndarray) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": images})[0]


@pytest.mark.parametrize("model", ["squeezenet_cpu", "squeezenet_cpu_int8"])
@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_grpc_outputs_are_those_of_onnxruntime(
    repository: Path, grpc_client: triton_grpc.InferenceServerClient, model: str, batch_size: int
) -> None:
    images = random_images(batch_size, seed=21)
    answer = infer(triton_grpc, grpc_client, model, images=images).as_numpy("probabilities")
    np.testing.assert_allclose(answer, directly(repository / model / "1" / "model.onnx", images), rtol=1e-5)


@pytest.mark.parametrize("model", ["squeezenet_cpu", "squeezenet_cpu_int8"])
def test_http_outputs_are_those_of_onnxruntime(
    repository: Path, http_client: triton_http.InferenceServerClient, model: str
) -> None:
    images = random_images(3, seed=22)
    answer = infer(triton_http, http_client, model, images=images).as_numpy("probabilities")
    np.testing.assert_allclose(answer, directly(repository / model / "1" / "model.onnx", images), rtol=1e-5)


def test_a_model_without_batching_is_served(grpc_client: triton_grpc.InferenceServerClient) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(infer(triton_grpc, grpc_client, "unbatched", x=x).as_numpy("y"), 2 * x)


def test_only_requested_outputs_are_returned(
    grpc_client: triton_grpc.InferenceServerClient,
) -> None:
    tensor = triton_grpc.InferInput("index", [BATCH_OF_THREE, 1], "INT64")
    tensor.set_data_from_numpy(np.array([[1], [2], [3]]))
    answer = grpc_client.infer("lookup", [tensor], outputs=[triton_grpc.InferRequestedOutput("y")])
    assert [output.name for output in answer.get_response().outputs] == ["y"]


def look_up_together(client: triton_grpc.InferenceServerClient, indices: list[int]) -> list[Any]:
    """Send three requests that the dynamic batcher passes to one call of `execute`."""

    def look_up(index: int) -> Any:
        try:
            return infer(triton_grpc, client, "lookup", index=np.array([[index]]))
        except InferenceServerException as error:
            return error

    with ThreadPoolExecutor(BATCH_OF_THREE) as clients:
        return list(clients.map(look_up, indices))


def test_requests_that_arrive_together_are_run_as_one_batch(
    grpc_client: triton_grpc.InferenceServerClient,
) -> None:
    answers = look_up_together(grpc_client, [3, 1, 2])
    assert [answer.as_numpy("y").tolist() for answer in answers] == [[[30]], [[10]], [[20]]]
    assert [answer.as_numpy("size").tolist() for answer in answers] == [[[BATCH_OF_THREE]]] * 3


def test_an_invalid_request_does_not_fail_its_batch(
    grpc_client: triton_grpc.InferenceServerClient,
) -> None:
    good, bad, other = look_up_together(grpc_client, [1, 99, 2])
    assert (good.as_numpy("y").tolist(), other.as_numpy("y").tolist()) == ([[10]], [[20]])
    assert isinstance(bad, InferenceServerException)
    assert "the inputs do not fit the ONNX model" in bad.message()
    assert "99" in bad.message()


def test_the_demos_cpu_variants_are_ready(server: EmbeddedTriton) -> None:
    states = {model.name: model.state for model in server.models() if model.name.startswith("squeezenet")}
    ready = {name for name, state in states.items() if state == "READY"}
    assert states.keys() == set(variant_names("squeezenet"))
    assert ready == {"squeezenet_cpu", "squeezenet_cpu_int8"}


VERSION = f"onnxruntime {onnxruntime.__version__}"
AVAILABLE = ", ".join(onnxruntime.get_available_providers())
ON_A_MAC = "only onnxruntime for macOS has it, so run this model on a Mac and forward to it from here"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        pytest.param(
            "squeezenet_gpu",  # Triton rejects it before it reaches the executor
            "instance group squeezenet_gpu_0 of model squeezenet_gpu has kind KIND_GPU but no GPUs are "
            "available",
            marks=pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU here"),
        ),
        (
            "squeezenet_neural_engine",
            f"model 'squeezenet_neural_engine': {VERSION}: expected CoreMLExecutionProvider, found "
            f"{AVAILABLE}; "
            f"{ON_A_MAC}",
        ),
        (
            "squeezenet_mps",
            f"model 'squeezenet_mps': {VERSION}: expected CoreMLExecutionProvider, found {AVAILABLE}; "
            f"{ON_A_MAC}",
        ),
        (
            "cuda_without_gpu",
            f"model 'cuda_without_gpu': {VERSION}: expected CUDAExecutionProvider, found {AVAILABLE}; on a "
            "machine with an NVIDIA GPU, install onnxruntime-gpu[cuda,cudnn] instead of onnxruntime",
        ),
        (
            "unknown_parameter",
            "model 'unknown_parameter': config.pbtxt: expected a known key, found "
            "'intra_op_thread' (did you mean 'intra_op_threads'?); use one of execution_provider, "
            "device, onnx_file, intra_op_threads, allow_cpu_nodes",
        ),
        (
            "no_parameters",
            "model 'no_parameters': config.pbtxt: expected the key 'execution_provider' (one of "
            "CPUExecutionProvider, CUDAExecutionProvider, CoreMLExecutionProvider), found no keys; add it",
        ),
        (
            "no_file",
            "model 'no_file': REPOSITORY/no_file/1/model.onnx: expected an ONNX file, found no such file; "
            "put it "
            "there, or name another one with parameter 'onnx_file'",
        ),
        (
            "wrong_name",
            "model 'wrong_name': config.pbtxt: output: expected the outputs of the ONNX file, 'y', found "
            "'z'; "
            "use the same names",
        ),
        (
            "wrong_type",
            "model 'wrong_type': config.pbtxt: input 'x': expected TYPE_FP32, as in the ONNX file "
            "(tensor(float)), found TYPE_FP16",
        ),
        (
            "one_at_a_time",
            "model 'one_at_a_time': ONNX file: input 'x': expected a free batch dimension, since "
            "config.pbtxt "
            "has a max_batch_size of 8, found a first dimension of 1; export the model with a free batch "
            "dimension, or set max_batch_size to 0 and write all dims",
        ),
    ],
)
def test_a_variant_that_cannot_load_gives_the_reason(
    server: EmbeddedTriton, repository: Path, model: str, sentence: str
) -> None:
    (status,) = (status for status in server.models() if status.name == model)
    assert status.state == "UNAVAILABLE"
    assert status.reason.endswith(sentence.replace("REPOSITORY", str(repository)))


@pytest.mark.skipif(
    not hasattr(onnxruntime, "OrtEpAssignedSubgraph"), reason="this onnxruntime does not say where nodes run"
)
def test_the_log_says_which_provider_runs_the_nodes(server: EmbeddedTriton) -> None:
    assert "model 'unbatched': CPUExecutionProvider runs 1 of 1 nodes" in server.log_text()
