"""Make and check the two files of an architecture that the demo serves."""

from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from router_tools.demo.architecture import Architecture
from router_tools.demo.classifier import spread_scores
from router_tools.demo.graph import INPUT_NAME, OUTPUT_NAME, servable
from router_tools.demo.images import random_images
from router_tools.demo.int8 import Agreement, agreement, quantise
from router_tools.demo.weights import fill_with_random_weights
from router_tools.errors import ToolError

_SEED = 0
_SPREAD_SEED, _CALIBRATION_SEED, _TEST_SEED = 1, 2, 3
_IMAGES = 32
_LEAST_COSINE_SIMILARITY = 0.9
_PACKAGES = ("numpy", "onnx", "onnxruntime")
_COSINE_KEY, _TOP1_KEY = "cosine_similarity_to_fp32", "top1_agreement_with_fp32"


def recipe_key(architecture: Architecture) -> str:
    """Return a hash of all that a model depends on: source file, code of this package, library versions."""
    digest = sha256(architecture.path.read_bytes())
    for step in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(step.read_bytes())
    digest.update(" ".join(f"{name}={version(name)}" for name in _PACKAGES).encode())
    return digest.hexdigest()[:16]


def make_fp32(architecture: Architecture, path: Path) -> None:
    """Write the network with weights, for any batch size.

    Raises:
        ToolError: the answer to an image depends on the rest of its batch.
    """
    model = servable(onnx.load(architecture.path), architecture.name)
    fill_with_random_weights(model, _SEED)
    spread_scores(model, random_images(_IMAGES, _SPREAD_SEED))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    _check_batches(path)


def make_int8(fp32: Path, path: Path) -> None:
    """Write the int8 version of a model, with its agreement with the original as metadata.

    Raises:
        ToolError: its answers differ too much from those of the original, or depend on the batch.
    """
    quantise(fp32, path, random_images(_IMAGES, _CALIBRATION_SEED))
    found = agreement(fp32, path, random_images(_IMAGES, _TEST_SEED))
    if found.cosine_similarity < _LEAST_COSINE_SIMILARITY:
        raise ToolError(
            f"the int8 version of {fp32.name}: expected a cosine similarity to the original of at least "
            f"{_LEAST_COSINE_SIMILARITY}, found {found.cosine_similarity}; install the versions of onnx and "
            "onnxruntime that this project was tested with"
        )
    model = onnx.load(path)
    metadata = {_COSINE_KEY: str(found.cosine_similarity), _TOP1_KEY: str(found.top1)}
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    _check_batches(path)


def read_agreement(path: Path) -> Agreement:
    """Return the agreement that `make_int8` measured, from the model's metadata."""
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return Agreement(float(metadata[_COSINE_KEY]), float(metadata[_TOP1_KEY]))


def _check_batches(path: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = random_images(4, _TEST_SEED)
    together = _run(session, images)
    alone = np.concatenate([_run(session, image[np.newaxis]) for image in images])
    if not np.allclose(together, alone, rtol=1e-3, atol=1e-6):
        raise ToolError(
            f"{path.name}: expected the same answer to an image alone and in a batch of {len(images)}, "
            f"found a difference of {np.abs(together - alone).max():.2g}; install the versions of onnx and "
            "onnxruntime that this project was tested with"
        )


def _run(session: Any, images: Any) -> Any:
    return session.run([OUTPUT_NAME], {INPUT_NAME: images})[0]
