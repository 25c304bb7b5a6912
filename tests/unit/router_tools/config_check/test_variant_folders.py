import shutil
from pathlib import Path

import pytest

from tests.unit.router_tools.config_check.checking import (
    TENSORS,
    add_model,
    parameter,
    refusal,
    run,
    write_scorer,
)


class TestTheFolderOfAVariant:
    def router_of(self, repository: Path, name: str) -> None:
        add_model(repository, "r", 'backend: "router_backend"\n' + parameter("variants", name))

    def test_without_a_version_is_refused(self, repository):
        shutil.rmtree(repository / "a_cpu" / "1")
        assert refusal(str(repository)) == (
            "model 'a_cpu': expected a folder '1' beside config.pbtxt, found none; add it, with a file in "
            "it, since git drops empty ones"
        )

    def test_without_a_version_that_it_names_is_refused(self, repository):
        text = TENSORS + parameter("device", "cpu") + "version_policy { specific { versions: [1, 3] } }"
        add_model(repository, "a_3", text)
        self.router_of(repository, "a_3")
        assert "model 'a_3': version_policy.specific: expected versions with a folder beside" in refusal(
            str(repository)
        )

    @pytest.mark.parametrize(
        ("backend", "named"),
        [
            ('backend: "onnxruntime"', "model.onnx"),
            ('platform: "onnxruntime_onnx"', "model.onnx"),
            ('backend: "tensorrt"', "model.plan"),
            ('backend: "pytorch"', "model.pt"),
            ('backend: "openvino"', "model.xml"),
            ('backend: "python"', "model.py"),
            ('backend: "tensorflow"', "model.graphdef"),
            ('backend: "onnxruntime"\ndefault_model_filename: "bert.onnx"', "bert.onnx"),
        ],
    )
    def test_without_the_file_that_its_backend_loads_is_refused(self, repository, backend, named):
        add_model(repository, "a_b", backend + TENSORS + parameter("device", "cpu"))
        (repository / "a_b" / "1" / "model.py").rename(repository / "a_b" / "1" / "other.bin")
        self.router_of(repository, "a_b")
        message = refusal(str(repository))
        assert message.startswith("model 'a_b': expected the file 1/model.") or "1/bert.onnx" in message
        assert named in message
        assert message.endswith(
            "found other.bin; add it, or name another in default_model_filename of config.pbtxt"
        )
        (repository / "a_b" / "1" / named).touch()
        if named.endswith(".onnx"):
            write_scorer(repository / "a_b" / "1" / named)
        run(str(repository))

    def test_is_checked_in_the_version_that_is_loaded(self, repository):
        add_model(repository, "a_b", 'backend: "onnxruntime"' + TENSORS + parameter("device", "cpu"))
        (repository / "a_b" / "12").mkdir()
        write_scorer(repository / "a_b" / "12" / "model.onnx")
        self.router_of(repository, "a_b")
        run(str(repository))
        (repository / "a_b" / "101").mkdir()
        assert "the file 101/model.onnx" in refusal(str(repository))

    @pytest.mark.parametrize("backend", ["mine", "onnx", "python_2"])
    def test_of_an_unknown_backend_is_not_checked(self, repository, backend):
        add_model(repository, "a_b", f'backend: "{backend}"' + TENSORS + parameter("device", "cpu"))
        self.router_of(repository, "a_b")
        run(str(repository))

    def test_with_another_name_than_the_models_is_refused(self, repository):
        add_model(repository, "text", 'name: "txt"\n' + TENSORS + parameter("device", "cpu"))
        self.router_of(repository, "text")
        assert refusal(str(repository)) == (
            "model 'text', config.pbtxt: name: expected 'text', the name of the folder, found 'txt'; write "
            "it, or leave it out"
        )

    @pytest.mark.parametrize("runtime", ["model.py", "libtriton_router_backend.so"])
    def test_of_a_router_may_name_its_host(self, repository, runtime):
        text = f'backend: "router_backend" runtime: "{runtime}"\n' + parameter("variants", "a_cpu")
        add_model(repository, "r", text)
        run(str(repository))

    def test_of_a_router_with_an_unknown_runtime_is_refused(self, repository):
        text = 'backend: "router_backend" runtime: "modle.py"\n' + parameter("variants", "a_cpu")
        add_model(repository, "r", text)
        assert refusal(str(repository)).startswith(
            "model 'r', config.pbtxt: runtime: expected one of model.py, libtriton_router_backend.so, found "
            "'modle.py' (did you mean 'model.py'?)"
        )
