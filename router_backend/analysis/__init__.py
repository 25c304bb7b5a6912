"""Static analysis of ONNX files: a model's characteristics, and the devices that it fits."""
