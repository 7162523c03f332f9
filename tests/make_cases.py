"""Writes tests/cases/*.npz: what PyTorch computes, for test_parity.py to compare with. Needs torch; the tests do not.

    python tests/make_cases.py

Inputs are stored beside the results. Losses follow minigrad's convention: the mean over rows of the sum over outputs.
"""

import warnings
from functools import partial
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
    "adadelta": lambda p: torch.optim.Adadelta(p, 1.0),
    "adadelta_decay": lambda p: torch.optim.Adadelta(p, 0.5, rho=0.8, eps=1e-3, weight_decay=0.1),
    "adamax": lambda p: torch.optim.Adamax(p),
    "adamax_decay": lambda p: torch.optim.Adamax(p, 0.02, betas=(0.8, 0.99), weight_decay=0.1),
    "nadam": lambda p: torch.optim.NAdam(p),
    "nadam_decay": lambda p: torch.optim.NAdam(p, 0.02, betas=(0.8, 0.99), weight_decay=0.1, momentum_decay=0.01),
    "radam": lambda p: torch.optim.RAdam(p),
    "radam_decay": lambda p: torch.optim.RAdam(p, 0.02, betas=(0.8, 0.99), weight_decay=0.1),
    "rprop": lambda p: torch.optim.Rprop(p),
    "rprop_other": lambda p: torch.optim.Rprop(p, 0.1, etas=(0.3, 1.5), step_sizes=(1e-3, 0.2)),
}

CLIPPED = {  # an optimizer, and what is done to the gradient before its step
    "clip_norm": (OPTIMIZERS["sgd_all"], lambda p: torch.nn.utils.clip_grad_norm_(p, 2.5)),
    "clip_norm_adam": (OPTIMIZERS["adamw_decay"], lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5)),
    "clip_value": (OPTIMIZERS["rmsprop_decay"], lambda p: torch.nn.utils.clip_grad_value_(p, 0.7)),
    "clip_both": (
        OPTIMIZERS["sgd_momentum"],
        lambda p: (torch.nn.utils.clip_grad_value_(p, 1.5), torch.nn.utils.clip_grad_norm_(p, 2)),
    ),
}

torch_schedules = torch.optim.lr_scheduler

SCHEDULES = {  # of an optimizer whose rate is 0.2
    "step": lambda o: torch_schedules.StepLR(o, 30, 0.5),
    "exponential": lambda o: torch_schedules.ExponentialLR(o, 0.97),
    "inverse_time": lambda o: torch_schedules.LambdaLR(o, lambda k: 1 / (1 + 0.05 * k)),
    "cosine": lambda o: torch_schedules.CosineAnnealingLR(o, 100),
    "cosine_minimum": lambda o: torch_schedules.CosineAnnealingLR(o, 130, 0.01),
    "warm_restarts": lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, 30),
    "warm_restarts_longer": lambda o: torch_schedules.CosineAnnealingWarmRestarts(o, 10, 2, 0.01),
    "one_cycle": lambda o: torch_schedules.OneCycleLR(o, 0.2, 100, cycle_momentum=False),
    "one_cycle_early": lambda o: torch_schedules.OneCycleLR(o, 0.2, 110, pct_start=0.15, cycle_momentum=False),
    "warmup": lambda o: torch_schedules.LinearLR(o, 1 / 21, 1, 20),
    "warmup_cosine": lambda o: torch_schedules.SequentialLR(
        o, [torch_schedules.LinearLR(o, 1 / 21, 1, 20), torch_schedules.CosineAnnealingLR(o, 80)], [20]
    ),
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
    "hard_sigmoid": lambda x: F.relu6(x + 3) / 6,  # F.hardsigmoid's derivative has a float32 1/6 in float64, too
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 1.5),
    "mish": F.mish,
    "softsign": F.softsign,
    "relu6": F.relu6,
    "hard_tanh": lambda x: F.hardtanh(x, -1.5, 2.0),
    "hard_swish": lambda x: x * F.relu6(x + 3) / 6,
    "log_sigmoid": F.logsigmoid,
    "log_softmax": lambda x: F.log_softmax(x, dim=-1),
}

NORMALIZATIONS = {  # of x (…, 3), a scale and a shift
    "layer_norm": lambda x, g, b: F.layer_norm(x, (3,), g, b),
    "layer_norm_eps": lambda x, g, b: F.layer_norm(x, (3,), g, b, 0.1),
    "rms_norm": lambda x, g, b: F.rms_norm(x, (3,), g, 1e-5),
    "rms_norm_eps": lambda x, g, b: F.rms_norm(x, (3,), g, 0.1),
    "prelu": lambda x, g, b: F.prelu(x.movedim(-1, 1), g).movedim(1, -1),
    "layer_norm_plain": lambda x, g, b: F.layer_norm(x, (3,)),
    "group_norm": lambda x, g, b: F.group_norm(x.movedim(-1, 1), 1, g, b, 1e-5).movedim(1, -1),
}


def smoothed(z, t, share):
    """PyTorch's label smoothing, which it gives summed over the outputs only."""
    terms = -(t * (1 - share) + share / 4) * F.log_softmax(z, dim=-1)
    torch.testing.assert_close(terms.sum(dim=1), F.cross_entropy(z, t, reduction="none", label_smoothing=share))
    return terms


LOSSES = {
    "binary": lambda p, t: F.binary_cross_entropy(p, t, reduction="none"),
    "binary_on_logits": lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="none"),
    "categorical": lambda p, t: -t * torch.log(p),
    "categorical_on_logits": lambda z, t: -t * F.log_softmax(z, dim=-1),
    "binary_smoothed": lambda p, t: F.binary_cross_entropy(p, t * 0.9 + 0.05, reduction="none"),
    "binary_smoothed_on_logits": lambda z, t: F.binary_cross_entropy_with_logits(z, t * 0.9 + 0.05, reduction="none"),
    "categorical_smoothed_on_logits": lambda z, t: smoothed(z, t, 0.2),
    "likelihood_on_logs": lambda p, t: torch.stack(
        [F.nll_loss(p, torch.full((len(p),), k), reduction="none") * t[:, k] for k in range(4)], dim=1
    ),
    "divergence": lambda p, t: F.kl_div(torch.log(p), t, reduction="none"),
    "hinge": lambda p, t: F.margin_ranking_loss(p, torch.zeros_like(p), t, margin=1, reduction="none"),
    "poisson": lambda p, t: F.poisson_nll_loss(p, t, log_input=False, eps=0, reduction="none"),
    "squared": lambda p, t: F.mse_loss(p, t, reduction="none"),
    "absolute": lambda p, t: F.l1_loss(p, t, reduction="none"),
    "huber": lambda p, t: F.huber_loss(p, t, reduction="none"),
    "huber_half": lambda p, t: F.huber_loss(p, t, reduction="none", delta=0.5),
}


SOURCES = {
    "binary": "p",
    "categorical": "distribution",
    "likelihood": "logs",
    "divergence": "distribution",
    "poisson": "rate",
}
GOALS = {
    "binary": "yes_no",
    "categorical": "class",
    "likelihood": "class",
    "divergence": "class",
    "hinge": "sign",
    "poisson": "count",
}


def trajectories():
    """100 steps on gradients that are stored, plus θ³, that of a convex function, which keeps rounding from growing."""
    rng = np.random.default_rng(0)
    start, noise = rng.normal(size=6), rng.normal(size=(100, 6))
    cases = {"start": start, "noise": noise}
    unclipped = {name: (make, lambda p: None) for name, make in OPTIMIZERS.items()}
    for name, (make, clip) in (unclipped | CLIPPED).items():
        theta = torch.tensor(start, requires_grad=True)
        optimizer = make([theta])
        path = []
        for g in torch.tensor(noise):
            with torch.no_grad():
                theta.grad = g + theta * theta * theta
            clip([theta])
            optimizer.step()
            path.append(theta.detach().numpy().copy())
        cases[name] = np.array(path)[9::10]
    return cases


def schedules():
    """The rates of 100 steps, and where SGD with momentum goes by them on the gradients of `trajectories`.

    And the rates of 100 epochs by a plateau schedule on stored losses, and the average of θ over 100 steps of Adam.
    """
    rng, made = np.random.default_rng(6), trajectories()
    start, noise = made["start"], made["noise"]
    losses = 2 * 0.95 ** np.arange(100) + 0.1 + 0.03 * rng.normal(size=100)
    cases = {"losses": losses}
    for name, make in SCHEDULES.items():
        theta = torch.tensor(start, requires_grad=True)
        optimizer = torch.optim.SGD([theta], 0.2, momentum=0.5)
        scheduler = make(optimizer)
        rates, path = [], []
        for g in torch.tensor(noise):
            with torch.no_grad():
                theta.grad = 0.1 * g + theta
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step() if len(rates) < 100 else None
            path.append(theta.detach().numpy().copy())
        cases |= {f"{name}_rates": np.array(rates), f"{name}_path": np.array(path)[9::10]}
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.2)
    plateau = torch_schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=0.01, min_lr=0.003)
    rates = []
    for value in losses:
        plateau.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    cases["plateau"] = np.array(rates)
    model = torch.nn.Linear(6, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight[...] = torch.tensor(start)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    optimizer, path = torch.optim.Adam(model.parameters(), 0.02), []
    for g in torch.tensor(noise):
        with torch.no_grad():
            model.weight.grad = g + model.weight**3
        optimizer.step()
        average.update_parameters(model)
        path.append(average.module.weight.detach().numpy().ravel().copy())
    return cases | {"average": np.array(path)[9::10]}


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
        ends = torch.tensor(np.array([-3, 3], dtype), requires_grad=True)
        y = F.hardsigmoid(ends)
        y.sum().backward()
        cases[f"{dtype}_hard_sigmoid_at_its_ends"] = np.array([y.detach().numpy(), ends.grad.numpy()])
    return cases


def losses():
    """Terms and gradients, in both precisions: hard and soft targets, logits of an ordinary size, ±40 and ±1000."""
    rng, later = np.random.default_rng(2), np.random.default_rng(5)
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
            "logs": np.log(later.dirichlet(np.ones(4), size=10)),
            "rate": later.uniform(0.01, 9, shape),
            "count": later.poisson(3, shape),
            "sign": later.choice([-1, 1], shape),
        }
        inputs = {name: value.astype(dtype) for name, value in inputs.items()}
        cases |= {f"{dtype}_{name}": value for name, value in inputs.items()}
        for name, f in LOSSES.items():
            kind = name.split("_")[0]
            source = "z" if "logits" in name else SOURCES.get(kind, "number")
            goal = GOALS.get(kind, "target")
            p = torch.tensor(inputs[source], requires_grad=True)
            terms = f(p, torch.tensor(inputs[goal]))
            (terms.sum() / len(p)).backward()
            cases[f"{dtype}_{name}"] = np.array([terms.detach().numpy(), p.grad.numpy()])
    return cases


GATES = {"glu": F.glu, "swiglu": lambda x: F.silu(x[..., :2]) * x[..., 2:]}  # of x (…, 4)
MEASURES = {  # losses with other terms than one for each number of p (B, 4); PyTorch's function, and columns of t
    "cosine": (lambda p, t: 1 - F.cosine_similarity(p, t)[:, None], 4),
    "quantile": (lambda p, t: torch.maximum(0.9 * (t - p), -0.1 * (t - p)), 4),
    "gaussian": (lambda p, t: F.gaussian_nll_loss(p[:, :2], t, F.softplus(p[:, 2:]), reduction="none"), 2),
    "sum": (
        lambda p, t: torch.cat(
            [-t[:, :3] * F.log_softmax(p[:, :3], dim=-1), 0.1 * F.mse_loss(p[:, 3:], t[:, 3:], reduction="none")], dim=1
        ),
        4,
    ),
}


def others():
    """Gates: x, dy, y and dx. Losses: p, t, their terms and the gradient of p, in both precisions."""
    rng, cases = np.random.default_rng(9), {}
    for dtype in ("float32", "float64"):
        for name, f in GATES.items():
            x, dy = rng.normal(0, 4, (6, 4)).astype(dtype), rng.normal(size=(6, 2)).astype(dtype)
            (leaf,) = tensors((x,))
            y = f(leaf)
            y.backward(torch.tensor(dy))
            parts = {"x": x, "dy": dy, "y": y.detach().numpy(), "dx": leaf.grad.numpy()}
            cases |= {f"{dtype}_{name}_{part}": value for part, value in parts.items()}
        for name, (f, columns) in MEASURES.items():
            p, t = rng.normal(0, 2, (9, 4)).astype(dtype), rng.normal(size=(9, columns)).astype(dtype)
            if name == "sum":
                t[:, :3] = np.eye(3)[rng.integers(3, size=9)]
            (leaf,) = tensors((p,))
            terms = f(leaf, torch.tensor(t))
            (terms.sum() / len(p)).backward()
            parts = {"p": p, "t": t, "terms": terms.detach().numpy(), "dp": leaf.grad.numpy()}
            cases |= {f"{dtype}_{name}_{part}": value for part, value in parts.items()}
    return cases


def tensors(arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def layers():
    """Values and all gradients of layers with parameters: tables and images, one row and many, numbers small and huge.

    For each input k: x, dy, scale g and shift b; for a layer, y and dx, dg and db (zeros where it has no shift).
    BatchNorm also has the running mean and variance after each of two batches, and what it says in inference then.
    """
    rng = np.random.default_rng(4)
    cases = {}
    for dtype in ("float32", "float64"):
        inputs = []
        for shape, size, offset in (((1, 3), 1, 0), ((9, 3), 1, 2), ((2, 4, 5, 3), 30, -50), ((40, 3), 1e-3, 0)):
            arrays = offset + rng.normal(0, size, shape), rng.normal(size=shape), rng.normal(size=3), rng.normal(size=3)
            inputs.append([array.astype(dtype) for array in arrays])
        for k, (x, dy, g, b) in enumerate(inputs):
            cases |= {f"{dtype}_{k}_{name}": a for name, a in (("x", x), ("dy", dy), ("g", g), ("b", b))}
            for name, f in NORMALIZATIONS.items():
                leaves = tensors((x, g, b))
                y = f(*leaves)
                y.backward(torch.tensor(dy))
                grads = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
                y, dx, dg, db = (value.detach().numpy() for value in (y, *grads))
                cases |= {
                    f"{dtype}_{k}_{name}": np.array([y, dx]),
                    f"{dtype}_{k}_{name}_parameters": np.array([dg, db]),
                }
        for k, (x, dy, g, b) in enumerate(inputs):
            if x.size == 3:
                continue
            norm = torch.nn.BatchNorm1d(3, momentum=0.3, dtype=torch.from_numpy(x).dtype)
            with torch.no_grad():
                norm.weight[...], norm.bias[...] = torch.tensor(g), torch.tensor(b)
            for step in (1, 2):
                (leaf,) = tensors((x.reshape(-1, 3) * x.dtype.type(step),))
                norm.zero_grad()
                y = norm(leaf)
                y.backward(torch.tensor(dy.reshape(-1, 3)))
                features = norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var
                name = f"{dtype}_{k}_batch_norm_{step}"
                cases[name] = np.array([value.detach().numpy() for value in (y, leaf.grad)])
                cases[f"{name}_parameters"] = np.array([value.numpy() for value in features])
            norm.eval()
            cases[f"{dtype}_{k}_batch_norm_inference"] = norm(torch.tensor(x.reshape(-1, 3))).detach().numpy()
        table, rows = rng.normal(size=(5, 3)).astype(dtype), rng.integers(5, size=(7, 2))
        (leaf,) = tensors((table,))
        y, dy = F.embedding(torch.tensor(rows), leaf), rng.normal(size=(7, 2, 3)).astype(dtype)
        y.backward(torch.tensor(dy))
        found = {"W": table, "x": rows, "dy": dy, "y": y.detach().numpy(), "dW": leaf.grad.numpy()}
        cases |= {f"{dtype}_embedding_{name}": value for name, value in found.items()}
    return cases


CONVOLUTIONS = {  # PyTorch's function, channels in and out, the kernel's size
    "plain": (F.conv2d, 2, 3, (3, 3), {}),
    "unbiased": (F.conv2d, 1, 2, (2, 3), {}),
    "strided": (F.conv2d, 2, 2, (3, 2), {"stride": (2, 3)}),
    "padded": (F.conv2d, 1, 2, (3, 3), {"padding": (2, 1)}),
    "same": (F.conv2d, 2, 1, (4, 3), {"padding": "same"}),
    "same_dilated": (F.conv2d, 1, 1, (2, 3), {"padding": "same", "dilation": (3, 2)}),
    "dilated": (F.conv2d, 1, 2, (3, 2), {"dilation": (2, 3)}),
    "grouped": (F.conv2d, 4, 6, (2, 2), {"groups": 2}),
    "depthwise": (F.conv2d, 3, 3, (3, 3), {"groups": 3, "padding": 1, "stride": 2}),
    "all": (F.conv2d, 4, 2, (2, 3), {"stride": 2, "padding": (1, 2), "dilation": (2, 1), "groups": 2}),
    "line": (F.conv1d, 2, 3, (3,), {}),
    "line_all": (F.conv1d, 4, 2, (2,), {"stride": 2, "padding": 2, "dilation": 3, "groups": 2}),
    "line_same": (F.conv1d, 1, 2, (4,), {"padding": "same"}),
    "reflect": (F.conv2d, 1, 2, (3, 2), {"around": ("reflect", 2, 1), "stride": (2, 1)}),
    "replicate": (F.conv2d, 2, 1, (3, 3), {"around": ("replicate", 1, 3)}),
    "circular": (F.conv2d, 1, 1, (2, 3), {"around": ("circular", 1, 2), "dilation": 2}),
    "transposed": (F.conv_transpose2d, 2, 3, (3, 3), {}),
    "transposed_strided": (F.conv_transpose2d, 2, 1, (3, 2), {"stride": (2, 3), "padding": 1, "output_padding": 1}),
    "transposed_all": (
        F.conv_transpose2d, 4, 6, (2, 3),
        {"stride": 2, "padding": (1, 2), "output_padding": (2, 1), "dilation": (3, 2), "groups": 2},
    ),
}  # fmt: skip
POOLS = {
    "max": lambda x: F.max_pool2d(x, 2),
    "max_overlapping": lambda x: F.max_pool2d(x, (3, 2), (2, 1), 1),
    "mean": lambda x: F.avg_pool2d(x, 2),
    "mean_overlapping": lambda x: F.avg_pool2d(x, 3, (1, 2), 1),
    "mean_of_all": lambda x: x.mean(dim=(2, 3)),
    "max_dilated": lambda x: F.max_pool2d(x, (2, 3), 2, (0, 1), (3, 2)),
    "max_ceil": lambda x: F.max_pool2d(x, (2, 3), (3, 2), 1, ceil_mode=True),
    "mean_ceil": lambda x: F.avg_pool2d(x, (3, 2), 2, 1, ceil_mode=True),
    "mean_without": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
}


def surrounded(f, x, *parameters, around, **options):
    """f of x with another padding than zeros: its mode, the rows and the columns on either side."""
    mode, rows, columns = around
    return f(F.pad(x, (columns, columns, rows, rows), mode), *parameters, **options)


def convolutions():
    """Images of 6 x 5 pixels (3 x 2 where they become larger) and lines of 7 places, one row and two.

    Channels last, all numbers of a case in a row: x, W and b where there are any, dy, and then y, dx, dW and db.
    """
    rng = np.random.default_rng(6)
    cases = {}

    def run(f, dtype, x, *parameters):
        leaves = tensors([array.astype(dtype) for array in (x, *parameters)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "same" with even kernels copies x
            y = f(*leaves)
        dy = torch.tensor(rng.normal(size=tuple(y.shape)).astype(dtype))
        y.backward(dy)
        x, *parameters = leaves
        inputs = last(x), *map(spatial, parameters), last(dy)
        outputs = last(y), last(x.grad), *(spatial(leaf.grad) for leaf in parameters)
        return np.concatenate([array.ravel() for array in (*inputs, *outputs)])

    for dtype, rows in (("float32", 2), ("float64", 1), ("float64", 2)):
        for name, (f, inputs, outputs, size, options) in CONVOLUTIONS.items():
            G, transposed = options.get("groups", 1), f is F.conv_transpose2d
            x = rng.normal(size=(rows, inputs, *((3, 2) if transposed else (6, 5) if len(size) == 2 else (7,))))
            W = rng.normal(size=(inputs, outputs // G, *size) if transposed else (outputs, inputs // G, *size))
            b = [] if name == "unbiased" else [rng.normal(size=outputs)]
            if "around" in options:
                f = partial(surrounded, f)
            cases[f"{dtype}_{rows}_{name}"] = run(partial(f, **options), dtype, x, W, *b)
        for name, f in POOLS.items():
            x = rng.integers(-4, 4, (rows, 2, 6, 5))  # with many ties
            cases[f"{dtype}_{rows}_{name}"] = run(f, dtype, x)
    return cases


def last(tensor):
    """PyTorch's channels, the second axis, as the last one."""
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def spatial(tensor):
    """PyTorch's (out, in, k, …) as (k, …, in, out)."""
    return np.moveaxis(tensor.detach().numpy(), (0, 1), (-1, -2)) if tensor.ndim > 1 else tensor.detach().numpy()


RECURRENT = {  # PyTorch's module of 3 inputs and 4 units
    "rnn": torch.nn.RNN,
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}


def sequences():
    """Recurrent layers and attention, in minigrad's layout: x, the parameters, dy, y, dx, the parameters' gradients.

    PyTorch's two biases are one here, but for the last third of a GRU's second one, which comes behind it.
    """
    rng, cases = np.random.default_rng(6), {}
    for dtype in ("float32", "float64"):
        kind = getattr(torch, dtype)
        x = rng.normal(size=(3, 5, 4)).astype(dtype)
        for name, module in RECURRENT.items():
            torch.manual_seed(7)
            layer = module(4, 2, batch_first=True, dtype=kind)
            (leaf,) = tensors((x,))
            y, _ = layer(leaf)
            dy = rng.normal(size=y.shape).astype(dtype)
            y.backward(torch.tensor(dy))
            named = dict(layer.named_parameters())
            W, U, b, c = (named[f"{part}_l0"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            rest = c[4:] if name == "gru" else c[:0]
            shared = torch.cat([c[:4], torch.zeros(2, dtype=kind)]) if name == "gru" else c
            db = torch.cat([b.grad, c.grad[4:] if name == "gru" else c.grad[:0]])
            found = x, W.T, U.T, torch.cat([b + shared, rest]), dy, y, leaf.grad, W.grad.T, U.grad.T, db
            cases |= numbered(f"{dtype}_{name}", found)
        for name, causal in (("attention", False), ("causal_attention", True)):
            torch.manual_seed(8)
            layer = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=kind)
            mask = torch.nn.Transformer.generate_square_subsequent_mask(5, dtype=kind) if causal else None
            (leaf,) = tensors((x,))
            y, _ = layer(leaf, leaf, leaf, attn_mask=mask)
            dy = rng.normal(size=y.shape).astype(dtype)
            y.backward(torch.tensor(dy))
            W, b, Wo, bo = layer.in_proj_weight, layer.in_proj_bias, layer.out_proj.weight, layer.out_proj.bias
            found = x, W.T, b, Wo.T, bo, dy, y, leaf.grad, W.grad.T, b.grad, Wo.grad.T, bo.grad
            cases |= numbered(f"{dtype}_{name}", found)
    return cases


def numbered(name, found):
    """Arrays and tensors as entries of a file: name_0, name_1, …"""
    arrays = (value.detach().numpy() if isinstance(value, torch.Tensor) else value for value in found)
    return {f"{name}_{k}": np.array(array, order="C") for k, array in enumerate(arrays)}


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


class Pictures(torch.nn.Module):
    """Modules in an order that is not that of their names, and a Flatten of images with several channels."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.BatchNorm2d(3), torch.nn.BatchNorm1d(30)
        self.conv1, self.conv2 = torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(3, 5, 2)
        self.up = torch.nn.ConvTranspose2d(3, 3, 2, bias=False)
        self.head = torch.nn.Linear(30, 4)

    def forward(self, x):
        """x (B, 2, 5, 7) -> (B, 4)."""
        x = F.max_pool2d(torch.relu(self.norm1(self.conv1(x))), 2, ceil_mode=True)
        x = torch.tanh(self.conv2(self.up(x)))
        return self.head(self.norm2(F.max_pool2d(x, (1, 2)).flatten(1)))


class Words(torch.nn.Module):
    """Layers of steps; the recurrent ones have several layers, directions and biases in one module."""

    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(6, 3)
        self.lstm = torch.nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True)
        self.gru, self.rnn = torch.nn.GRU(4, 3, batch_first=True), torch.nn.RNN(3, 3, batch_first=True)
        self.attention, self.norm = torch.nn.MultiheadAttention(3, 1, batch_first=True), torch.nn.LayerNorm(3)
        self.head = torch.nn.Linear(3, 2)

    def forward(self, x):
        """x (B, 4) of codes -> (B, 4, 2)."""
        x = self.rnn(self.gru(self.lstm(self.words(x))[0])[0])[0]
        return self.head(self.norm(x + self.attention(x, x, x, need_weights=False)[0]))


def weights():
    """The state_dicts of two networks, as `pictures/conv1.weight`; what these say: `pictures x` and `pictures y`."""
    cases = {}
    torch.manual_seed(8)
    for name, network, x in (
        ("pictures", Pictures(), torch.randn(6, 2, 5, 7)),
        ("words", Words(), torch.randint(0, 6, (5, 4))),
    ):
        network(x)  # the running statistics move
        y = network.eval()(x)
        x, y = x.numpy(), y.detach().numpy()
        cases |= {f"{name}/{key}": value.numpy() for key, value in network.state_dict().items()}
        cases |= {f"{name} x": np.moveaxis(x, 1, -1) if x.ndim == 4 else x, f"{name} y": y}
    return cases


ALL = {
    "trajectories": trajectories,
    "schedules": schedules,
    "activations": activations,
    "losses": losses,
    "layers": layers,
    "convolutions": convolutions,
    "sequences": sequences,
    "training": training,
    "weights": weights,
    "others": others,
}

if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)  # in which NAdam keeps its product, too
    CASES.mkdir(exist_ok=True)
    for case, make in ALL.items():
        np.savez_compressed(CASES / f"{case}.npz", **make())
