"""The silero-vad bundle: `silero-vad.onnx` and its card."""
