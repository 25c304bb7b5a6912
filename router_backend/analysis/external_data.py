"""Check of the external data of an ONNX file: whether it exists, without reading it."""

from pathlib import Path

import onnx
from onnx import external_data_helper

from router_backend.analysis.broken_content import invalid
from router_backend.analysis.graph import tensors
from router_backend.path_kind import REGULAR_FILE, path_kind

NUMBERS = ("offset", "length")
SAVE_AGAIN = "save the model again"


def check_external_data(path: Path, graph: onnx.GraphProto) -> None:
    """Check the references to external data of all tensors of an ONNX file's graph against the files.

    Raises:
        ConfigurationError: a reference is invalid, or a file is outside the folder, missing or too short.
    """
    for tensor in tensors(graph):
        if external_data_helper.uses_external_data(tensor):
            where = f"{path}, tensor '{tensor.name}'"
            _check_numbers(where, tensor)
            _check_file(where, path.parent, external_data_helper.ExternalDataInfo(tensor))


def _check_numbers(where: str, tensor: onnx.TensorProto) -> None:
    for entry in tensor.external_data:
        if entry.key in NUMBERS and not (entry.value.isascii() and entry.value.isdecimal()):
            expected = f"a whole number as the {entry.key} of its external data"
            raise invalid(where, expected, f"'{entry.value}'", SAVE_AGAIN)


def _check_file(where: str, folder: Path, stored: external_data_helper.ExternalDataInfo) -> None:
    if "\0" in stored.location:
        expected = "the name of a file with external data"
        raise invalid(where, expected, "one with a NUL character", SAVE_AGAIN)
    file = (folder / stored.location).resolve()
    if not file.is_relative_to(folder.resolve()):
        fix = "move it there and save the model again"
        raise invalid(where, "data in the file's own folder", f"'{stored.location}'", fix)
    needed_bytes = (stored.offset or 0) + (stored.length or 0)
    if path_kind(file) != REGULAR_FILE or file.stat().st_size < needed_bytes:
        expected = f"{needed_bytes} bytes of external data in '{stored.location}'"
        raise invalid(where, expected, "fewer or no such file", "copy it along with the model")
