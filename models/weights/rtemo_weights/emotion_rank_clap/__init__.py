"""The emotion-rank-clap bundle: `emotion-rank-clap.onnx` and its card."""
