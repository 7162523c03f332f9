"""A model of minigrad in PyTorch: its file is loaded into torch.nn, and both predict the same.

A minigrad file is a safetensors file whose tensors have PyTorch's names and PyTorch's layout (a Dense holds W as
(in, out), torch.nn.Linear as (out, in)), so `load_state_dict` takes it as it is.
"""

import tempfile
from pathlib import Path

import numpy as np

from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
from minigrad.data import load_digits, train_test_split

try:
    import torch
    from safetensors.torch import load
except ModuleNotFoundError:
    raise SystemExit("This example needs PyTorch, which is not installed: pip install torch") from None

x_train, x_test, train_labels, test_labels = train_test_split(*load_digits(), seed=0)
model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)
model.fit(x_train, train_labels, loss=BinaryCrossEntropy(), optimizer=SGD(learning_rate=0.5), epochs=10)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.safetensors"
    model.save(path)
    tensors = load(path.read_bytes())  # load_file maps it: on Windows the folder could not be removed then

for name, tensor in tensors.items():
    print(f"{name:<10} {tuple(tensor.shape)}")

network = torch.nn.Sequential(
    torch.nn.Linear(400, 25), torch.nn.Sigmoid(), torch.nn.Linear(25, 10), torch.nn.Sigmoid()
)  # fmt: skip
network.load_state_dict(tensors)
with torch.no_grad():
    theirs = network(torch.from_numpy(x_test)).numpy()
ours = model.predict(x_test)

print(f"held-out accuracy: {np.mean(model.predict_classes(x_test) == test_labels):.1%} by minigrad")
print(f"                   {np.mean(model.classes[theirs.argmax(axis=1)] == test_labels):.1%} by PyTorch")
print(f"largest difference of two probabilities: {np.abs(ours - theirs).max():.1e}")
