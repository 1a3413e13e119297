"""Layer 1: model execution: bundles checked by hash, run by ONNX Runtime or torch."""
