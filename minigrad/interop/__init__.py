"""What was trained elsewhere, in a network of minigrad: PyTorch's weights, and scikit-learn's networks.

`minigrad.load` comes here; `minigrad.onnx.load` reads ONNX files.
"""
