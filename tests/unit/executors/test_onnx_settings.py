import pytest

from router_backend.errors import ConfigurationError
from router_backend.executors.onnx_settings import parse_settings
from router_backend.executors.providers import CORE_ML, CPU, CUDA

CPU_MODEL = {"device": "cpu", "execution_provider": "CPUExecutionProvider"}
GPU_MODEL = {"device": "gpu", "execution_provider": "CUDAExecutionProvider"}
CORE_ML_MODEL = {"device": "neural_engine", "execution_provider": "CoreMLExecutionProvider"}


def refusal(parameters: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parse_settings(parameters)
    return str(refused.value)


def test_two_parameters_are_enough() -> None:
    settings = parse_settings(CPU_MODEL)
    assert settings.provider is CPU
    assert (settings.onnx_file, settings.intra_op_threads, settings.provider_options) == ("model.onnx", 0, {})


def test_the_device_may_be_left_to_the_instance_group() -> None:
    assert parse_settings({"execution_provider": "CUDAExecutionProvider"}).provider is CUDA


def test_every_parameter_is_read() -> None:
    settings = parse_settings(
        {
            **CORE_ML_MODEL,
            "onnx_file": "other.onnx",
            "intra_op_threads": "3",
            "allow_cpu_nodes": "true",
            "provider_option.MLComputeUnits": "CPUAndNeuralEngine",
            "provider_option.ModelCacheDirectory": "/tmp/anything",
        }
    )
    assert settings.provider is CORE_ML
    assert settings.onnx_file == "other.onnx"
    assert settings.intra_op_threads == 3
    assert settings.allow_cpu_nodes
    assert settings.provider_options == {
        "MLComputeUnits": "CPUAndNeuralEngine",
        "ModelCacheDirectory": "/tmp/anything",
    }


def test_what_tritons_python_backend_reads_from_the_same_place_is_left_to_it() -> None:
    assert parse_settings({**CPU_MODEL, "FORCE_CPU_ONLY_INPUT_TENSORS": "no"}) == parse_settings(CPU_MODEL)


def test_an_instance_runs_on_the_gpu_that_triton_gave_it() -> None:
    assert parse_settings(GPU_MODEL, gpu_index="1").provider_options == {"device_id": "1"}


def test_a_device_id_that_is_written_down_wins_over_tritons() -> None:
    settings = parse_settings({**GPU_MODEL, "provider_option.device_id": "0"}, gpu_index="1")
    assert settings.provider_options == {"device_id": "0"}


def test_only_a_provider_with_a_choice_of_gpus_is_told_one() -> None:
    assert parse_settings(CPU_MODEL, gpu_index="1").provider_options == {}


@pytest.mark.parametrize("model", [CPU_MODEL, GPU_MODEL, CORE_ML_MODEL])
def test_only_a_cpu_model_may_run_on_the_cpu_unasked(model: dict[str, str]) -> None:
    assert parse_settings(model).cpu_may_run_nodes == (model is CPU_MODEL)
    assert parse_settings({**model, "allow_cpu_nodes": "true"}).cpu_may_run_nodes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"excution_provider": "CPUExecutionProvider"},
            "config.pbtxt: expected a known key, found 'excution_provider' (did you mean "
            "'execution_provider'?); use one of execution_provider, device, onnx_file, "
            "intra_op_threads, allow_cpu_nodes",
        ),
        (
            {"execution_provider": "CpuExecutionProvider"},
            "config.pbtxt: execution_provider: expected one of CPUExecutionProvider, "
            "CUDAExecutionProvider, CoreMLExecutionProvider, found 'CpuExecutionProvider' "
            "(did you mean 'CPUExecutionProvider'?)",
        ),
        (
            {"device": "cpus"},
            "config.pbtxt: device: expected one of cpu, gpu, neural_engine, mps, found 'cpus' "
            "(did you mean 'cpu'?)",
        ),
        (
            {"device": "gpu"},
            "config.pbtxt: device: expected cpu, where CPUExecutionProvider runs, found 'gpu'",
        ),
        (
            {"onnx_file": "../model.onnx"},
            "config.pbtxt: onnx_file: expected the name of a file in the version folder, "
            "found '../model.onnx'",
        ),
        (
            {"onnx_file": ""},
            "config.pbtxt: onnx_file: expected the name of a file in the version folder, found ''",
        ),
        (
            {"allow_cpu_nodes": "yes"},
            "config.pbtxt: allow_cpu_nodes: expected true or false, found 'yes'",
        ),
        (
            {"provider_option.device_id": "0"},
            "config.pbtxt: provider_option.device_id: expected no option of CPUExecutionProvider, "
            "found 'device_id'",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_was_expected_and_found(
    change: dict[str, str], message: str
) -> None:
    assert refusal({**CPU_MODEL, **change}) == message


@pytest.mark.parametrize("threads", ["0", "-1", "1.5", "two", "", "²"])
def test_a_thread_count_is_a_whole_number_from_one_on(threads: str) -> None:
    found = threads if threads in ("0", "-1") else f"'{threads}'"
    assert refusal({**CPU_MODEL, "intra_op_threads": threads}) == (
        "config.pbtxt: intra_op_threads: expected a whole number of at least 1, "
        f"found {found}; leave it out to use all cores"
    )


def test_a_model_without_a_provider_is_refused() -> None:
    assert refusal({"device": "cpu"}) == (
        "config.pbtxt: expected the key 'execution_provider' (one of CPUExecutionProvider, "
        "CUDAExecutionProvider, CoreMLExecutionProvider), found only device; add it"
    )


def test_a_misspelt_provider_option_is_refused_with_the_nearest_one() -> None:
    message = refusal({**CORE_ML_MODEL, "provider_option.MLComputeUnit": "ALL"})
    assert message.startswith("config.pbtxt: provider_option.MLComputeUnit: expected one of the options ")
    assert message.endswith(
        "of CoreMLExecutionProvider, found 'MLComputeUnit' (did you mean 'MLComputeUnits'?)"
    )


def test_core_ml_cannot_be_told_to_run_on_the_cpu_alone() -> None:
    message = refusal({**CORE_ML_MODEL, "provider_option.MLComputeUnits": "CPUOnly"})
    assert message == (
        "config.pbtxt: provider_option.MLComputeUnits: expected one of ALL, CPUAndGPU, "
        "CPUAndNeuralEngine, found 'CPUOnly'"
    )


@pytest.mark.parametrize(("device", "units"), [("neural_engine", "CPUAndGPU"), ("mps", "CPUAndNeuralEngine")])
def test_core_ml_units_that_leave_out_the_declared_device_are_refused(device: str, units: str) -> None:
    message = refusal({**CORE_ML_MODEL, "device": device, "provider_option.MLComputeUnits": units})
    assert message == (
        "config.pbtxt: provider_option.MLComputeUnits: expected units that include the parameter "
        f"'device', {device}, found '{units}'"
    )
