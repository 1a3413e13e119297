"""The gem bundle: `gem.onnx` and its card."""
