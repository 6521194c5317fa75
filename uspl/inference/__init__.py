"""A trained model at work: on a picture and its sound, over a set, compiled, as ONNX."""
