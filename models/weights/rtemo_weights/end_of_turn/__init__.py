"""The end-of-turn bundle: `end-of-turn.onnx` and its card."""
