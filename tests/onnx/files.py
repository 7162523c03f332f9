"""What a user of an exported file does: onnxruntime runs it, and there is no minigrad."""

import numpy as np
import onnxruntime


def answers(path, x):
    (y,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["y"], {"x": x})
    return y


def run(path, frame):
    """What a user of the file runs: the outputs by name."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {}
    for wanted in session.get_inputs():
        column = frame[wanted.name]
        text = wanted.type == "tensor(string)"
        values = column.where(column.notna(), "").to_numpy(object) if text else column.to_numpy(float, na_value=np.nan)
        feed[wanted.name] = values[:, None]
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))
