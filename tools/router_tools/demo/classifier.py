"""Scale the last layer of a random network so that its answers depend on the image."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import helper, numpy_helper

from router_tools.demo.graph import INPUT_NAME

Array = npt.NDArray[np.float32]

# Standard deviation of a class's score over images; the best of 1000 classes then gets 0.005 to 0.8.
_SCORE_SPREAD = 1.5
# In standard deviations; SqueezeNet has a ReLU after its classifier, which must not clip the scores.
_DISTANCE_FROM_ZERO = 3.0


def spread_scores(model: Any, images: Array) -> None:
    """Scale and shift the classifier in place, so that its scores differ by image rather than by class.

    The features of a random network hardly depend on the image, so all images would get the same class.
    Subtracting the mean score and scaling the rest up makes them differ.

    Args:
        model: ModelProto with weights; its last Conv or Gemm is the classifier, with a bias.
        images: float32 [n, 3, 224, 224], from which mean and standard deviation are computed.
    """
    classifier = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")][-1]
    weights = {each.name: each for each in model.graph.initializer}
    kernel, bias = (weights[name] for name in classifier.input[1:])
    matrix = numpy_helper.to_array(kernel)
    scores = _scores(matrix, _features(model, classifier.input[0], images))
    gain = np.float32(_SCORE_SPREAD / scores.mean(axis=2).std(axis=0).mean())
    shift = _DISTANCE_FROM_ZERO * scores.std() - scores.mean(axis=(0, 2))
    kernel.CopyFrom(numpy_helper.from_array(matrix * gain, kernel.name))
    bias.CopyFrom(numpy_helper.from_array((shift * gain).astype(np.float32), bias.name))


def _features(model: Any, name: str, images: Array) -> Array:
    """Return the classifier's input, as [images, channels, positions]."""
    probe = type(model).FromString(model.SerializeToString())
    probe.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    (features,) = session.run([name], {INPUT_NAME: images})
    return features.reshape(len(images), features.shape[1], -1)  # type: ignore[no-any-return]


def _scores(matrix: Array, features: Array) -> Array:
    """Return the scores without the bias, as [images, classes, positions]."""
    return matrix.reshape(len(matrix), -1) @ features
