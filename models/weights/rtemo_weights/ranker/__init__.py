"""The ranker bundle: `ranker.onnx` and its card."""
