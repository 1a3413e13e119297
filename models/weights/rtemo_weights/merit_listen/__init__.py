"""The merit-listen bundle: `merit-listen.onnx` and its card."""
