"""Writes tests/cases/*.npz: what PyTorch computes, for test_parity.py to compare with. Needs torch; the tests do not.

    python tests/make_cases.py

Inputs are stored beside the results. Losses follow minigrad's convention: the mean over rows of the sum over outputs.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

CASES = Path(__file__).parent / "cases"

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05),
    "sgd_momentum": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, 0.02, momentum=0.8, nesterov=True),
    "sgd_decay": lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1),
    "sgd_all": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p),
    "adam_decay": lambda p: torch.optim.Adam(p, 0.02, weight_decay=0.1),
    "adam_betas": lambda p: torch.optim.Adam(p, 0.02, betas=(0.7, 0.95), eps=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p),
    "adamw_decay": lambda p: torch.optim.AdamW(p, 0.02, betas=(0.8, 0.99), weight_decay=0.3),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.001),
    "rmsprop_momentum": lambda p: torch.optim.RMSprop(p, 0.005, alpha=0.9, momentum=0.8),
    "rmsprop_decay": lambda p: torch.optim.RMSprop(p, 0.02, weight_decay=0.1, eps=1e-3),
    "adagrad": lambda p: torch.optim.Adagrad(p),
    "adagrad_decay": lambda p: torch.optim.Adagrad(p, 0.3, weight_decay=0.1),
}

ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "softmax": lambda x: F.softmax(x, dim=-1),
    "silu": F.silu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.03),
    "elu": lambda x: F.elu(x, 1.5),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus,
}

LOSSES = {
    "binary": lambda p, t: F.binary_cross_entropy(p, t, reduction="none"),
    "binary_on_logits": lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="none"),
    "categorical": lambda p, t: -t * torch.log(p),
    "categorical_on_logits": lambda z, t: -t * F.log_softmax(z, dim=-1),
    "squared": lambda p, t: F.mse_loss(p, t, reduction="none"),
    "absolute": lambda p, t: F.l1_loss(p, t, reduction="none"),
    "huber": lambda p, t: F.huber_loss(p, t, reduction="none"),
    "huber_half": lambda p, t: F.huber_loss(p, t, reduction="none", delta=0.5),
}


def trajectories():
    """100 steps on gradients that are stored, plus θ³, that of a convex function, which keeps rounding from growing."""
    rng = np.random.default_rng(0)
    start, noise = rng.normal(size=6), rng.normal(size=(100, 6))
    cases = {"start": start, "noise": noise}
    for name, make in OPTIMIZERS.items():
        theta = torch.tensor(start, requires_grad=True)
        optimizer = make([theta])
        path = []
        for g in torch.tensor(noise):
            with torch.no_grad():
                theta.grad = g + theta * theta * theta
            optimizer.step()
            path.append(theta.detach().numpy().copy())
        cases[name] = np.array(path)[9::10]
    return cases


def activations():
    """Values and, for a random upstream gradient, derivatives on a grid, in both precisions."""
    rng = np.random.default_rng(1)
    cases = {}
    for dtype in ("float32", "float64"):
        x = np.linspace(-12, 12, 96).reshape(16, 6)[rng.permutation(16)].astype(dtype)
        dy = rng.normal(size=x.shape).astype(dtype)
        cases |= {f"{dtype}_x": x, f"{dtype}_dy": dy}
        for name, f in ACTIVATIONS.items():
            at = torch.tensor(x, requires_grad=True)
            y = f(at)
            y.backward(torch.tensor(dy))
            cases[f"{dtype}_{name}"] = np.array([y.detach().numpy(), at.grad.numpy()])
    return cases


def losses():
    """Terms and gradients, in both precisions: hard and soft targets, logits of an ordinary size, ±40 and ±1000."""
    rng = np.random.default_rng(2)
    cases = {}
    for dtype in ("float32", "float64"):
        shape = (10, 4)
        z = rng.normal(0, 3, shape)
        z[6] = 40, -40, 0, 39
        z[7] = -40, 40, 40, -39
        z[8] = 1000, -1000, 0, 999
        z[9] = -1000, 1000, 1000, -999
        one_hot = np.eye(4)[rng.integers(4, size=10)]
        soft = rng.dirichlet(np.ones(4), size=10)
        yes_no = rng.integers(2, size=shape)
        share = rng.uniform(size=shape)
        inputs = {
            "p": rng.uniform(0.01, 0.99, shape),
            "distribution": rng.dirichlet(np.ones(4), size=10),
            "z": z,
            "number": rng.normal(size=shape),
            "yes_no": np.where(np.arange(10)[:, None] % 2, share, yes_no),
            "class": np.where(np.arange(10)[:, None] % 2, soft, one_hot),
            "target": rng.normal(size=shape),
        }
        inputs = {name: value.astype(dtype) for name, value in inputs.items()}
        cases |= {f"{dtype}_{name}": value for name, value in inputs.items()}
        for name, f in LOSSES.items():
            source = "z" if "logits" in name else {"binary": "p", "categorical": "distribution"}.get(name, "number")
            goal = {"binary": "yes_no", "categorical": "class"}.get(name.split("_")[0], "target")
            p = torch.tensor(inputs[source], requires_grad=True)
            terms = f(p, torch.tensor(inputs[goal]))
            (terms.sum() / len(p)).backward()
            cases[f"{dtype}_{name}"] = np.array([terms.detach().numpy(), p.grad.numpy()])
    return cases


def training():
    """50 steps of SGD on batches of 8 of a 12-7-4 sigmoid network, binary cross-entropy; θ after every tenth."""
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(40, 12)), rng.integers(2, size=(40, 4)).astype(np.float64)
    layers = torch.nn.Linear(12, 7, dtype=torch.float64), torch.nn.Linear(7, 4, dtype=torch.float64)
    with torch.no_grad():
        for parameter in (p for layer in layers for p in layer.parameters()):
            parameter[...] = torch.tensor(rng.normal(0, 0.5, tuple(parameter.shape)))
    net = torch.nn.Sequential(layers[0], torch.nn.Sigmoid(), layers[1])
    optimizer = torch.optim.SGD(net.parameters(), 0.5)

    def theta():
        return np.concatenate([a.detach().numpy().T.ravel() for layer in layers for a in (layer.weight, layer.bias)])

    path = [theta()]
    for step in range(50):
        rows = slice(step % 5 * 8, step % 5 * 8 + 8)
        optimizer.zero_grad()
        z = net(torch.tensor(x[rows]))
        (F.binary_cross_entropy_with_logits(z, torch.tensor(t[rows]), reduction="sum") / 8).backward()
        optimizer.step()
        if step % 10 == 9:
            path.append(theta())
    return {"x": x, "t": t, "theta": np.array(path)}


ALL = {"trajectories": trajectories, "activations": activations, "losses": losses, "training": training}

if __name__ == "__main__":
    CASES.mkdir(exist_ok=True)
    for case, make in ALL.items():
        np.savez_compressed(CASES / f"{case}.npz", **make())
