from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests.onnx_models import constant, floats, write_model
from tests.unit.router_tools.config_check.checking import (
    TENSORS,
    add_model,
    parameter,
    refusal,
    run,
    write_scorer,
)


def onnx(name: str, **parameters: str) -> str:
    stated = {"device": "cpu", "execution_provider": "CPUExecutionProvider"} | parameters
    texts = "".join(parameter(key, value) for key, value in stated.items())
    return f'name: "{name}"\nbackend: "python"\n' + TENSORS + texts


def write_executor(folder: Path, module: str = "onnx_runtime") -> None:
    code = f"from router_backend.executors.{module} import TritonPythonModel\n"
    (folder / "1" / "model.py").write_text(code)


class TestAnOnnxFile:
    """Of Triton's ONNX Runtime backend."""

    def add(self, repository: Path, text: str = TENSORS) -> Path:
        add_model(repository, "a_b", 'backend: "onnxruntime"' + text + parameter("device", "cpu"))
        add_model(repository, "r", 'backend: "router_backend"\n' + parameter("variants", "a_b"))
        return repository / "a_b" / "1" / "model.onnx"

    @pytest.mark.parametrize(
        ("content", "found"),
        [(b"", "an empty file"), (b"version https://git-lfs", "an error"), (b"\x08\x07", "one without an")],
    )
    def test_that_is_none_is_refused(self, repository, content, found):
        path = self.add(repository)
        path.write_bytes(content)
        (message,) = refusal(str(repository)).splitlines()
        assert message.startswith(f"model 'a_b', {path}: expected an ONNX model, found {found}")

    def test_with_another_input_is_refused(self, repository):
        write_scorer(self.add(repository), name="picture")
        assert refusal(str(repository)) == (
            "model 'a_b', config.pbtxt: input: expected the inputs of the ONNX file, 'picture', found "
            "'image'; use the same names"
        )

    def test_with_other_dims_is_refused(self, repository):
        write_scorer(self.add(repository), size=4)
        assert refusal(str(repository)) == (
            "model 'a_b', config.pbtxt: input 'image': expected the shape of the ONNX file, [-1, 4], found "
            "[-1, 3] with the batch dimension; write the same dims"
        )

    def test_with_everything_wrong_is_refused_with_each(self, repository):
        write_scorer(self.add(repository, TENSORS.replace("[2]", "[7]")), size=4)
        assert len(refusal(str(repository)).splitlines()) == 2

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("dims: [3]", "dims: [3, 1] reshape { shape: [3] }"),
            ("TYPE_FP32 dims: [3]", "TYPE_BF16 dims: [5]"),
        ],
        ids=["reshaped", "a type that is not compared"],
    )
    def test_whose_tensors_only_triton_can_compare_is_valid(self, repository, old, new):
        write_scorer(self.add(repository, TENSORS.replace(old, new)))
        run(str(repository))

    def test_of_which_not_all_outputs_are_used_is_valid(self, repository):
        write_model(
            self.add(repository),
            [
                helper.make_node("MatMul", ["image", "weights"], ["scores"]),
                helper.make_node("Neg", ["image"], ["other"]),
            ],
            [floats("image", "batch", 3)],
            [floats("scores", "batch", 2), floats("other", "batch", 3)],
            [constant("weights", np.ones((3, 2)), np.float32)],
        )
        run(str(repository))


class TestTheExecutorOfAVariant:
    def add(
        self, repository: Path, text: str, module: str = "onnx_runtime", file: str = "model.onnx"
    ) -> None:
        add_model(repository, "a_x", text)
        write_executor(repository / "a_x", module)
        write_scorer(repository / "a_x" / "1" / file)
        add_model(repository, "r", 'backend: "router_backend"\n' + parameter("variants", "a_x"))

    def test_is_valid_with_its_file(self, repository):
        self.add(repository, onnx("a_x", onnx_file="net.onnx"), file="net.onnx")
        run(str(repository))

    def test_without_its_file_is_refused(self, repository):
        self.add(repository, onnx("a_x"), file="net.onnx")
        assert refusal(str(repository)) == (
            "model 'a_x': expected the file 1/model.onnx, which the ONNX executor loads, found model.py, "
            "net.onnx (did you mean 'net.onnx'?); add it, or name another in the parameter onnx_file"
        )

    def test_whose_file_has_other_dims_is_refused(self, repository):
        self.add(repository, onnx("a_x"))
        write_scorer(repository / "a_x" / "1" / "model.onnx", size=4)
        assert refusal(str(repository)).startswith("model 'a_x', config.pbtxt: input 'image': expected the")

    def test_with_an_unknown_parameter_is_refused_with_the_nearest(self, repository):
        self.add(repository, onnx("a_x", executon_provider="CPUExecutionProvider"))
        message = refusal(str(repository))
        assert message.startswith("model 'a_x', config.pbtxt: ")
        assert "'executon_provider' (did you mean 'execution_provider'?)" in message

    def test_of_an_emulated_device_whose_tensors_it_cannot_have_is_refused(self, repository):
        text = 'backend: "python"' + TENSORS.replace("[3]", "[-1, 3]")
        text += parameter("device", "gpu") + parameter("base_ms", "1") + parameter("per_item_ms", "1")
        self.add(repository, text, "emulated_device")
        assert "expected one tensor, TYPE_FP32 with one fixed dimension" in refusal(str(repository))

    def test_of_a_remote_variant_is_checked_likewise(self, repository):
        text = 'backend: "python"' + TENSORS + parameter("device", "gpu") + parameter("url", "mac")
        self.add(repository, text, "remote")
        assert refusal(str(repository)) == (
            "model 'a_x', config.pbtxt: url: expected host and port, such as 'mac.local:8001', found 'mac'"
        )

    def test_of_an_emulated_device_is_checked_likewise(self, repository):
        text = 'backend: "python"' + TENSORS + parameter("device", "gpu") + parameter("base_ms", "1")
        self.add(repository, text, "emulated_device")
        assert "model 'a_x', config.pbtxt: expected the parameters base_ms and per_item_ms" in refusal(
            str(repository)
        )

    def test_of_another_kind_may_have_any_parameters(self, repository):
        text = 'backend: "python"' + TENSORS + parameter("device", "cpu") + parameter("executon", "x")
        self.add(repository, text, "responses")
        run(str(repository))
