"""Three ways to keep a network from learning its few rows by heart: dropout, L2 and early stopping, on the digits.

A network with 20,000 weights learns 400 digits. All runs start from the same weights and see the rows in the same
order; 600 further rows are for validation: they choose when to stop, and nothing else is chosen here. The accuracy is
that on the 4,000 rows that no run has seen. With `--out FILE` the loss on the validation rows is drawn, epoch by epoch.

    python examples/regularisation.py --out regularisation.png
"""

import argparse

import numpy as np

from minigrad import SGD, CategoricalCrossEntropy, Dense, Dropout, ReLU, Sequential, Softmax
from minigrad.data import load_digits, train_test_split
from minigrad.metrics import wilson_interval

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--out", metavar="FILE", help="where to draw the curves, such as curves.png (needs matplotlib)")
parser.add_argument("--quick", action="store_true", help="a fifth of the epochs, to see that it runs")
arguments = parser.parse_args()
epochs = 30 if arguments.quick else 150

x, x_test, labels, labels_test = train_test_split(*load_digits(), test_size=0.8, seed=0)
x, x_valid, labels, labels_valid = train_test_split(x, labels, test_size=0.6, seed=0)


def network(rate=0.0):
    dropout = [Dropout(rate, seed=1)] if rate else []
    return Sequential([Dense(400, 50), ReLU(), *dropout, Dense(50, 10), Softmax()], seed=0)


runs = {
    "nothing": (network(), {}),
    "dropout 0.5": (network(0.5), {}),
    "L2 0.01": (network(), {"l2": 0.01}),
    "early stopping": (network(), {"patience": 10}),
    "all three": (network(0.5), {"l2": 0.01, "patience": 10}),
}
print(f"{len(x)} rows to train on, {len(x_valid)} for validation, {len(x_test)} held out\n")
print(f"{'':<16}epochs   training   validation loss      held-out accuracy")
print(f"{'':<16}          loss      best     last         (95 % interval)")
curves = {}
for name, (model, options) in runs.items():
    history = model.fit(
        x,
        labels,
        loss=CategoricalCrossEntropy(),
        optimizer=SGD(0.02, momentum=0.9),
        epochs=epochs,
        validation=(x_valid, labels_valid),
        **options,
    )
    curves[name] = history.validation_loss
    right = int((model.predict_classes(x_test) == labels_test).sum())
    low, high = wilson_interval(right, len(x_test))
    print(
        f"{name:<16}{len(history):>6}{history.loss[-1]:>11.4f}{min(curves[name]):>10.3f}{curves[name][-1]:>9.3f}"
        f"{right / len(x_test):>11.1%}   ({low:.1%} to {high:.1%})"
    )

if arguments.out:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), dpi=110, layout="constrained")
    for name, values in curves.items():
        (line,) = axes.plot(range(1, len(values) + 1), values, label=name)
        best = int(np.argmin(values))
        axes.plot(best + 1, values[best], "o", color=line.get_color(), markersize=4)
    axes.set(xlabel="epoch", ylabel="loss on the validation rows", ylim=(0, None))
    axes.set_title("The lowest point of each run is marked", fontsize=10)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(arguments.out, metadata={"Software": None} if arguments.out.endswith(".png") else None)
    print(f"\nthe curves are in {arguments.out}")
