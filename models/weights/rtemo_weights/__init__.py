"""The weights that rtemo ships: a package per bundle, holding a card and an ONNX file."""
