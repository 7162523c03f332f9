"""The picture in the README: held-out digits with the network's answers, right and wrong, and how it learned.

It is written beside this file as digits.png, or to the file named on the command line. Needs matplotlib.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
from minigrad.data import load_digits, train_test_split

EPOCHS = 20
RIGHT, WRONG = "#1a7f37", "#cf222e"

x_train, x_test, train_labels, test_labels = train_test_split(*load_digits(), seed=0)
model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)
loss, optimizer = BinaryCrossEntropy(), SGD(learning_rate=0.5)

accuracies = {"training": [], "held out": []}
for epoch in model.epochs(x_train, train_labels, loss=loss, optimizer=optimizer, seed=0):
    for name, x, labels in (("training", x_train, train_labels), ("held out", x_test, test_labels)):
        accuracies[name].append(np.mean(model.predict_classes(x) == labels))
    if epoch.number == EPOCHS:
        break

p, answers = model.predict(x_test), model.predict_classes(x_test)
right = answers == test_labels
shown = [np.flatnonzero(right & (test_labels == label))[0] for label in (1, 2, 3, 4, 5, 6, 7, 8)]
shown += list(np.flatnonzero(~right)[:8])

figure = plt.figure(figsize=(9, 2.7), dpi=110)
grid = figure.add_gridspec(2, 12, left=0.01, right=0.985, top=0.88, bottom=0.14, wspace=0.12, hspace=0.5)
for place, row in enumerate(shown):
    axes = figure.add_subplot(grid[place // 8, place % 8])
    axes.imshow(255 - (x_test[row].reshape(20, 20) * 255).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
    axes.axis("off")
    color = RIGHT if right[row] else WRONG
    axes.set_title(f"{answers[row] % 10}  {p[row].max():.0%}", color=color, fontsize=9, pad=3)

axes = figure.add_subplot(grid[:, 9:])
for name, values in accuracies.items():
    axes.plot(range(1, EPOCHS + 1), values, label=name, color="#57606a" if name == "training" else "#0969da")
    axes.annotate(f"{values[-1]:.1%}", (EPOCHS, values[-1]), (3, -3), textcoords="offset points", fontsize=8)
axes.set(xlim=(1, EPOCHS + 4), ylim=(0.8, 1.005), xticks=(1, 10, 20), yticks=(0.8, 0.9, 1.0))
axes.set_yticklabels(["80 %", "90 %", "100 %"])
axes.set_xlabel("epoch", fontsize=8, labelpad=1)
axes.set_title("accuracy", fontsize=9)
axes.tick_params(labelsize=8)
axes.legend(fontsize=8, loc="lower right", frameon=False)
axes.spines[["top", "right"]].set_visible(False)

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("digits.png")
figure.savefig(path, metadata={"Software": None})
print(f"{path.name}: {right.sum()} of {len(right)} held-out digits right, {path.stat().st_size / 1000:.0f} kB")
