"""Model execution: bundles found, checked by hash, and run by ONNX Runtime."""

from rtemo.runtime.store import ModelStore

__all__ = ["ModelStore"]
