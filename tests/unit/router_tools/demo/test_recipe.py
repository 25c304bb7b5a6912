import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from router_tools.demo import int8, recipe
from router_tools.demo.architecture import RESNET50, SQUEEZENET
from router_tools.demo.images import random_images
from router_tools.demo.recipe import make_fp32, make_int8, read_agreement, recipe_key
from router_tools.errors import ToolError


def probabilities(path: Path, images: np.ndarray) -> Any:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": images})[0]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_tells_images_apart(answers: np.ndarray) -> None:
    best = answers.max(axis=1)
    assert answers.shape == (16, 1000)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-4)
    assert best.min() > 2 / 1000, "as good as uniform"
    assert np.median(best) < 0.9, "saturated"
    assert len(set(answers.argmax(axis=1))) > 2, "the same class for every image"


def test_squeezenet_tells_images_apart(squeezenet_fp32: Path) -> None:
    assert_tells_images_apart(probabilities(squeezenet_fp32, random_images(16, seed=11)))


def test_resnet50_tells_images_apart(tmp_path: Path) -> None:
    make_fp32(RESNET50, tmp_path / "resnet50.onnx")
    assert_tells_images_apart(probabilities(tmp_path / "resnet50.onnx", random_images(16, seed=11)))


@pytest.mark.parametrize("fixture", ["squeezenet_fp32", "squeezenet_int8"])
def test_an_image_gets_the_same_answer_alone_and_in_a_batch(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(fixture)
    images = random_images(4, seed=11)
    together = probabilities(path, images)
    for image, answer in zip(images, together, strict=True):
        np.testing.assert_allclose(probabilities(path, image[np.newaxis])[0], answer, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("fixture", ["squeezenet_fp32", "squeezenet_int8"])
def test_the_model_is_valid_and_its_weights_are_no_inputs(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    model = onnx.load(request.getfixturevalue(fixture))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["images"]


def test_int8_is_quantised_all_but_the_softmax(squeezenet_int8: Path) -> None:
    graph = onnx.load(squeezenet_int8).graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 26
    assert all(producers[name] == "DequantizeLinear" for node in convolutions for name in node.input)
    assert producers["probabilities"] == "Softmax"


def test_int8_agrees_with_fp32_as_its_metadata_says(squeezenet_fp32: Path, squeezenet_int8: Path) -> None:
    measured = int8.agreement(squeezenet_fp32, squeezenet_int8, random_images(32, seed=3))
    assert read_agreement(squeezenet_int8) == measured
    assert measured.cosine_similarity > 0.95
    assert measured.top1 > 0.75


def test_a_poor_quantization_is_refused(
    squeezenet_fp32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "_LEAST_COSINE_SIMILARITY", 0.9999)
    with pytest.raises(
        ToolError, match=r"cosine similarity to the original of at least 0\.9999, found 0\.9\d+; install"
    ):
        make_int8(squeezenet_fp32, tmp_path / "int8.onnx")


def test_a_model_that_mixes_its_batch_is_refused(squeezenet_fp32: Path, tmp_path: Path) -> None:
    model = onnx.load(squeezenet_fp32)
    model.graph.node[-1].attribute[0].i = 0  # softmax over the batch instead of the classes
    onnx.save(model, tmp_path / "mixed.onnx")
    with pytest.raises(
        ToolError, match=r"mixed\.onnx: expected the same answer to an image alone and in a batch"
    ):
        recipe._check_batches(tmp_path / "mixed.onnx")


def test_another_process_makes_the_same_bytes(
    squeezenet_fp32: Path, squeezenet_int8: Path, tmp_path: Path
) -> None:
    script = (
        "from pathlib import Path; from router_tools.demo import recipe;"
        "from router_tools.demo.architecture import SQUEEZENET;"
        f"folder = Path({str(tmp_path)!r});"
        "recipe.make_fp32(SQUEEZENET, folder / 'fp32.onnx');"
        "recipe.make_int8(folder / 'fp32.onnx', folder / 'int8.onnx')"
    )
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": "42"}, check=True)
    assert sha256(tmp_path / "fp32.onnx") == sha256(squeezenet_fp32)
    assert sha256(tmp_path / "int8.onnx") == sha256(squeezenet_int8)


def test_the_key_is_that_of_the_architecture() -> None:
    assert recipe_key(SQUEEZENET) == recipe_key(SQUEEZENET)
    assert recipe_key(SQUEEZENET) != recipe_key(RESNET50)


def test_another_library_version_gives_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe_key(SQUEEZENET)
    monkeypatch.setattr(recipe, "version", lambda _: "0.0.0")
    assert recipe_key(SQUEEZENET) != before
