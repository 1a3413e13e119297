"""The merit-large bundle: `merit-large.onnx` and its card."""
