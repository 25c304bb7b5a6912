import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest
from google import protobuf

import router_backend
from router_backend.config.repository import read_model_config
from router_backend.errors import ConfigurationError

REPOSITORY = Path(router_backend.__file__).parents[1]
GOOGLE = Path(protobuf.__file__).parents[1]


def read_in_subprocess(model_folder: Path, *search_path: Path, then: str = "") -> str:
    """Read the folder's configuration with these folders as the only ones outside the standard library."""
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        sys.path[:0] = {[*map(str, search_path)]!r}
        from router_backend.config.repository import read_model_config
        from router_backend.errors import ConfigurationError
        try:
            read_model_config(Path({str(model_folder)!r}))
        except ConfigurationError as error:
            print(error)
        """
    )
    command = [sys.executable, "-I", "-S", "-c", script + then]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def only_protobuf(tmp_path: Path) -> Path:
    """A folder of packages that holds this one, protobuf, msgspec and nothing else."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "google").symlink_to(GOOGLE)
    (folder / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    (folder / "router_backend").symlink_to(REPOSITORY / "router_backend")
    return folder


def test_reads_a_models_configuration_into_tritons_message(write_model):
    folder = write_model("resnet50_cpu", "instance_group [{ kind: KIND_CPU count: 2 }]")
    config = read_model_config(folder)
    assert config.max_batch_size == 8
    assert list(config.input[0].dims) == [3, 224, 224]
    assert config.instance_group[0].count == 2


def test_a_folder_without_configuration_is_refused_with_its_path(repository):
    with pytest.raises(ConfigurationError) as error:
        read_model_config(repository / "resnet50_cpu")
    path = repository / "resnet50_cpu" / "config.pbtxt"
    assert str(error.value) == f"{path}: expected a model configuration, found no such file"


def test_a_configuration_that_is_a_folder_is_refused_with_its_path(write_model):
    path = write_model("resnet50_cpu") / "config.pbtxt"
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError) as error:
        read_model_config(path.parent)
    assert str(error.value) == f"{path}: expected a model configuration, found a folder"


def test_a_configuration_in_another_encoding_is_refused_with_path_and_byte(write_model):
    path = write_model("resnet50_cpu") / "config.pbtxt"
    path.write_bytes("# für die CPU".encode("latin-1"))
    with pytest.raises(ConfigurationError) as error:
        read_model_config(path.parent)
    assert str(error.value) == f"{path}: expected text in UTF-8, found another byte at 3; save it as UTF-8"


def test_text_that_does_not_follow_the_schema_is_refused_with_path_line_and_field(write_model):
    folder = write_model("resnet50_cpu", "max_batch: 4")
    with pytest.raises(ConfigurationError) as error:
        read_model_config(folder)
    message = str(error.value)
    assert message.startswith(
        f"{folder / 'config.pbtxt'}: expected a model configuration, found an error: 4:1"
    )
    assert '"max_batch"' in message


def test_reading_brings_no_grpc_along(write_model):
    then = "assert not any(name.split('.')[0] in ('grpc', 'tritonclient') for name in sys.modules)"
    folder = write_model("resnet50_cpu")
    assert read_in_subprocess(folder, REPOSITORY, GOOGLE.parent, then=then) == ""


def test_a_missing_tritonclient_is_told_with_the_command_that_installs_it(write_model, only_protobuf):
    message = read_in_subprocess(write_model("resnet50_cpu"), only_protobuf)
    assert message == (
        "expected the package 'tritonclient', which has the schema of config.pbtxt, found none; "
        "pip install tritonclient"
    )


def test_a_tritonclient_without_the_schema_is_told_with_the_path(write_model, only_protobuf):
    (only_protobuf / "tritonclient").mkdir()
    (only_protobuf / "tritonclient" / "__init__.py").touch()
    message = read_in_subprocess(write_model("resnet50_cpu"), only_protobuf)
    schema = only_protobuf / "tritonclient" / "grpc" / "model_config_pb2.py"
    assert message == f"{schema}: expected the schema of config.pbtxt, found no such file"
