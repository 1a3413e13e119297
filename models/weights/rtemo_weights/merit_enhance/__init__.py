"""The merit-enhance bundle: `merit-enhance.onnx` and its card."""
