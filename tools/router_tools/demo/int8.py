"""Static int8 quantization of a network, and how well the result agrees with the original."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from router_tools.demo.graph import INPUT_NAME, OUTPUT_NAME

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the answers of two models agree on some images.

    Args:
        cosine_similarity: cosine of the angle between the two probability vectors, mean over the images.
        top1: fraction of images for which both predict the same class.
    """

    cosine_similarity: float
    top1: float


def quantise(fp32: Path, int8: Path, images: Array) -> None:
    """Write the int8 version of a model (QDQ, per channel); Softmax remains fp32.

    Most probabilities of 1000 classes are smaller than an 8-bit step of 1/255 and would be quantized to 0.

    Args:
        fp32: the model to quantize.
        int8: the file to write.
        images: float32 [n, 3, 224, 224], from which the ranges of the activations are computed.
    """
    folded = int8.with_suffix(".folded.onnx")
    quant_pre_process(fp32, folded, skip_symbolic_shape=True)  # folds normalizations into convolutions
    softmax = [node.name for node in onnx.load(folded).graph.node if node.op_type == "Softmax"]
    quantize_static(
        folded,
        int8,
        _Calibration(images),
        quant_format=QuantFormat.QDQ,
        nodes_to_exclude=softmax,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    folded.unlink()


def agreement(one: Path, other: Path, images: Array) -> Agreement:
    """Compare two models on the same images."""
    a, b = (_probabilities(path, images) for path in (one, other))
    cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return Agreement(
        cosine_similarity=round(float(cosines.mean()), 4),
        top1=round(float((a.argmax(axis=1) == b.argmax(axis=1)).mean()), 4),
    )


class _Calibration:
    """Yields one image at a time to the calibration, as onnxruntime's CalibrationDataReader."""

    def __init__(self, images: Array) -> None:
        self._images: Iterator[Array] = iter(images)

    def get_next(self) -> dict[str, Array] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT_NAME: image[np.newaxis]}


def _probabilities(path: Path, images: Array) -> Any:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT_NAME], {INPUT_NAME: images})[0]
