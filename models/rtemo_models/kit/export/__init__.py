"""From trained weights to an ONNX graph in a bundle's folder."""
