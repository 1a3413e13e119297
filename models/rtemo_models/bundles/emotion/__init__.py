"""The emotion bundle: `emotion.onnx` and its card."""
