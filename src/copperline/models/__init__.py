"""The models that ship with Copperline: `NAME.onnx`, and `NAME.card.json`, which says what it is."""
