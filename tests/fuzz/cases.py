"""Cases: what a seed draws of everything that a training is made of, layers and losses, rows and weights."""

import tempfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import (
    CELU,
    ELU,
    GELU,
    SELU,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    AvgPool2D,
    BatchNorm,
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    ClipByNorm,
    ClipByValue,
    Columns,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool2D,
    HardSigmoid,
    Hinge,
    Huber,
    Identity,
    KLDivergence,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    Loss,
    MaxPool2D,
    MeanAbsoluteError,
    MeanSquaredError,
    Mish,
    NegativeLogLikelihood,
    Optimizer,
    ParameterAverage,
    Poisson,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    Standardize,
    Swish,
    Tanh,
    schedules,
)
from minigrad.data.augment import shifts
from tests.fuzz import statements
from tests.fuzz.draws import Draws
from tests.fuzz.habits import HABITS, as_drawn

RAISING = [name for name in HABITS if name.startswith("Raises")]
QUIET = [name for name, habit in HABITS.items() if habit.predict_only_reads and name not in RAISING]


@dataclass(frozen=True)
class Family:
    """What the cases of a family are made of, beside the layers of the package."""

    about: str
    habits: tuple[str, ...] = ()
    statements: bool = False
    changes: bool = False
    another_thread: bool = False
    rows: int = 40
    starts: tuple[str, ...] = ("table", "integers", "columns", "image", "sequence")


ODD = tuple(name for name in HABITS if name not in RAISING)
FAMILIES = {
    "layers": Family("the package's own layers, composed at random"),
    "habits": Family("user layers with odd habits", ODD, starts=("table",)),
    "statements": Family("user layers of random statements", statements=True, starts=("table",)),
    "changes": Family("what their owners change in between", changes=True),
    "changed habits": Family("odd layers that their owners change in between", ODD, changes=True, starts=("table",)),
    "threads": Family("another thread predicts meanwhile", tuple(QUIET), another_thread=True, starts=("table",)),
    "raising": Family("layers that raise half-way", (*RAISING, *ODD), starts=("table",)),
    "many rows": Family("batches of many rows", rows=3000, starts=("table",)),
}


@dataclass
class Setup:
    """One training, made anew for each world."""

    model: Sequential
    loss: Loss
    optimizer: Optimizer
    x: Any
    t: Any
    options: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)


def setup(draws: Draws, family: Family) -> Setup:
    dtype = np.dtype(draws.one_of("dtype", ["float32", "float64"]))
    many = family.rows > 1000
    m = draws.number("rows", 900, family.rows) if many else draws.number("rows", 4, family.rows)
    start = draws.one_of("start", family.starts)
    layers, features, x = START[start](draws, m)
    more, features = chain(draws, "", features, family, 0)
    layers += more
    outputs = draws.number("outputs", 1, 4)
    loss, last, t = LOSSES[draws.one_of("loss", LOSSES)](draws, m, outputs)
    outputs = t.shape[1] if t.ndim > 1 else max(2, len(set(t.tolist()))) if loss.labels else 1
    layers += [Dense(features, outputs, bias=not draws.chance("no last bias", 0.1)), *last]
    if draws.chance("nested", 0.15):
        layers = [Sequential(layers[:-1]), layers[-1]] if len(layers) > 1 else [Sequential(layers)]
    model = Sequential(layers, dtype, seed=draws.number("seed", 0, 3))
    if start in ("table", "image", "sequence"):
        x = in_memory(draws, "x", values(draws, x))
    else:  # numbers to be looked up in a table
        x = in_memory(draws, "x", x, INTEGERS if start == "integers" else ORDERS)
    t = in_memory(draws, "t", t, ORDERS if loss.labels else NUMBERS)
    return Setup(model, loss, optimizer(draws), x, t, options(draws, m, t, loss.labels, start, many))


def options(draws, m, t, labels, start, many):
    sizes = {"1": 1, "2": 2, "3": 3, "5": 5, "8": 8, "all": m, "more": m + 3}
    if many:
        sizes = {"all": m, "half": m // 2 + 1, "1000": 1000, "256": 256}
    found = {
        "batch_size": sizes[draws.one_of("batch size", sizes)],
        "shuffle": not draws.chance("no shuffle", 0.2),
        "l2": 0.1 if draws.chance("l2", 0.25) else 0.0,
        "l1": 0.01 if draws.chance("l1", 0.15) else 0.0,
        "seed": draws.number("order", 0, 2),
    }
    weights = draws.one_of("weights", ["none", "positive", "many zeros", "whole", "alike"])
    rng = draws.rng("weights")
    if weights == "positive":
        found["sample_weight"] = rng.random(m) + 0.1
    elif weights == "many zeros":
        found["sample_weight"] = (rng.random(m) < 0.4) * 1.0
        found["sample_weight"][-1] = 1
    elif weights == "whole":
        found["sample_weight"] = rng.integers(1, 4, m)
    elif weights == "alike":
        found["sample_weight"] = np.ones(m, np.float32)
    if labels and t.ndim == 1 and draws.chance("class weights", 0.4):
        found["class_weight"] = {label: 0.5 + n for n, label in enumerate(sorted(set(t.tolist())))}
    if start not in ("integers", "columns"):
        augment = AUGMENTS[draws.one_of("augment", AUGMENTS if start == "image" else [*AUGMENTS][:-1])]
        if augment is not None:
            found["augment"] = augment()
    return found


# ------------------------------------------------------------------------------------------------------------- layers
def table(draws, m):
    width = draws.number("columns", 1, 6)
    return [], width, draws.rng("x").normal(size=(m, width))


def integers(draws, m):
    length = draws.number("columns", 1, 3)
    x = draws.rng("x").integers(0, 5, (m, length))
    return [Embedding(5, 3), Flatten()], 3 * length, x


def columns(draws, m):
    x = draws.rng("x").normal(size=(m, 4))
    x[:, 0] = draws.rng("x0").integers(0, 3, m)
    deep = Sequential([Columns(0, 1, integers=True), Embedding(3, 2), Flatten(), Dense(2, 3), Tanh()])
    return [Concatenate(deep, Columns(1, 4))], 6, x


def image(draws, m):
    x = draws.rng("x").normal(size=(m, 5, 5, 2))
    conv = Conv2D(2, 3, 3, padding=draws.one_of("padding", ["valid", "same"]), stride=draws.number("stride", 1, 2))
    pools = {"none": [], "max": [MaxPool2D(2, 1)], "avg": [AvgPool2D(2, 1)], "global": [GlobalAvgPool2D()]}
    inside = {"none": [], "BatchNorm": [BatchNorm(3)], "ReLU": [ReLU()], "LayerNorm": [LayerNorm(3)]}
    last = [*pools[draws.one_of("pool", pools)], Flatten()]
    layers = [conv, *inside[draws.one_of("after convolution", inside)], *last]
    return layers, int(np.prod(Sequential([*layers]).output_shape((5, 5, 2)))), x


def sequence(draws, m):
    x = draws.rng("x").normal(size=(m, 6, 2))
    layers = [Conv1D(2, 3, 2, dilation=draws.number("dilation", 1, 2)), Flatten()]
    return layers, int(np.prod(Sequential([*layers]).output_shape((6, 2)))), x


START = {"table": table, "integers": integers, "columns": columns, "image": image, "sequence": sequence}

ACTIVATIONS = {
    "Tanh": Tanh,
    "Sigmoid": Sigmoid,
    "ReLU": ReLU,
    "LeakyReLU": LeakyReLU,
    "ELU": ELU,
    "CELU": CELU,
    "SELU": SELU,
    "GELU": GELU,
    "quick GELU": lambda: GELU("tanh"),
    "Swish": Swish,
    "Mish": Mish,
    "Softplus": Softplus,
    "Softsign": Softsign,
    "HardSigmoid": HardSigmoid,
    "Identity": Identity,
    "Softmax": Softmax,
    "LogSoftmax": LogSoftmax,
    "PReLU": PReLU,
    "Dropout": lambda: Dropout(0.3),
}
SIZED = {
    "BatchNorm": BatchNorm,
    "LayerNorm": LayerNorm,
    "RMSNorm": RMSNorm,
    "wide PReLU": PReLU,
    "Standardize": Standardize,
}
OTHERS = ["Dense", "Residual", "Concatenate", "Sequential", "Reshape", "Columns"]


def chain(draws, path, features, family, depth):
    """Layers for rows of `features` numbers, and how many numbers they make of them."""
    layers = []
    if not depth and draws.chance("Dense first", 0.7):
        width = 4 if family.statements else draws.number("width", 1, 6)
        layers, features = [Dense(features, width)], width
    odd = bool(family.habits or family.statements)
    for n in range(draws.number(f"{path}layers", 1 if odd and not depth else 0, 3 - depth)):
        here = f"{path}layer {n}"
        kinds = [*ACTIVATIONS, *SIZED, *OTHERS[: None if depth < 2 else 1]]
        if odd and ((n == 0 and not depth) or draws.chance(f"{here} is odd", 0.25)):
            more, features = odd_layer(draws, here, features, family)
        else:
            kind = draws.one_of(here, kinds)
            if kind in ACTIVATIONS:
                more = [ACTIVATIONS[kind]()]
            elif kind in SIZED:
                more = [SIZED[kind](features)]
            else:
                more, features = composed(draws, here, kind, features, family, depth)
        layers += more
    return layers, features


def odd_layer(draws, here, features, family):
    if not family.statements:
        return [as_drawn(draws.one_of(here, family.habits), features)], features
    layers = [] if features == 4 else [Dense(features, 4)]
    count = draws.number(f"{here} statements", 1, 3)
    lines = [draws.one_of(f"{here} line {k}", statements.FORWARD) for k in range(count)]
    backward = draws.one_of(f"{here} backward", statements.BACKWARD)
    return [*layers, statements.layer_of(lines, backward, draws.chance(f"{here} declares", 0.5))], 4


def composed(draws, here, kind, features, family, depth):
    if kind == "Dense":
        width = draws.number(f"{here} width", 1, 6)
        return [Dense(features, width)], width
    if kind == "Reshape":
        return [Reshape((1, features)), Reshape((features,))], features
    if kind == "Columns":
        width = draws.number(f"{here} width", 1, features)
        return [Columns(features - width, features)], width
    inner, width = chain(draws, f"{here}.", features, family, depth + 1)
    if kind == "Sequential":
        return ([Sequential(inner)] if inner else []), width
    if kind == "Residual":
        return [Residual(*inner, *([] if width == features and inner else [Dense(width, features)]))], features
    branches = [Sequential(inner) if len(inner) != 1 else inner[0]] if inner else [Identity()]
    branches.append([Identity(), Dense(features, 2)][draws.number(f"{here} beside", 0, 1)])
    return [Concatenate(*branches)], width + (2 if isinstance(branches[1], Dense) else features)


# ------------------------------------------------------------------------------------------------------------- losses
class OwnLoss(Loss):
    """a loss of the user's, by terms and slopes"""

    def terms(self, p, t):
        return np.log(np.cosh(np.clip(p - t, -20, 20)))

    def slopes(self, p, t):
        return np.tanh(np.clip(p - t, -20, 20))


class DecidingLoss(Loss):
    """a loss of the user's that looks at the numbers, by forward and backward"""

    def forward(self, p, t, sample_weight=None):
        w = np.ones(len(p)) if sample_weight is None else sample_weight
        d = np.abs(p - t).sum(axis=tuple(range(1, p.ndim)))
        return float((w * (d if d.max() > 1 else d * d)).sum() / w.sum())

    def backward(self, p, t, sample_weight=None):
        w = np.ones(len(p), p.dtype) if sample_weight is None else sample_weight
        return np.sign(p - t) * (w / w.sum()).reshape(-1, *[1] * (p.ndim - 1))


class CountingLoss(MeanSquaredError):
    """a loss that grows with its calls"""

    def __init__(self):
        self.calls = 0

    def slopes(self, p, t):
        self.calls += 1
        return super().slopes(p, t) * (1 + self.calls % 3 / 8)


def numbers(loss, last=(), positive=False):
    def made(draws, m, outputs):
        t = draws.rng("t").normal(size=(m, outputs))
        t = np.abs(np.round(t)) if positive else t
        return loss(), [layer() for layer in last], t[:, 0] if outputs == 1 and draws.chance("flat t", 0.5) else t

    return made


def classes(loss, last=(), binary=False):
    def made(draws, m, outputs):
        k = outputs if binary else max(2, outputs)
        kinds = ["matrix", "labels"] if k > 1 else ["matrix"]
        codes = np.arange(m) % k
        draws.rng("t").shuffle(codes)
        if m >= k and draws.one_of("targets", kinds) == "labels":
            return loss(), [layer() for layer in last], codes
        if binary:
            return loss(), [layer() for layer in last], draws.rng("t").integers(0, 2, (m, k)) * 1.0
        return loss(), [layer() for layer in last], np.eye(k)[codes]

    return made


LOSSES = {
    "MeanSquaredError": numbers(MeanSquaredError),
    "MeanAbsoluteError": numbers(MeanAbsoluteError),
    "Huber": numbers(lambda: Huber(0.7)),
    "Poisson": numbers(Poisson, [Softplus], positive=True),
    "BinaryCrossEntropy": classes(BinaryCrossEntropy, [Sigmoid], binary=True),
    "BinaryCrossEntropyOnLogits": classes(BinaryCrossEntropyOnLogits, binary=True),
    "Hinge": classes(Hinge, binary=True),
    "CategoricalCrossEntropy": classes(CategoricalCrossEntropy, [Softmax]),
    "smoothed CategoricalCrossEntropy": classes(lambda: CategoricalCrossEntropy(0.1), [Softmax]),
    "CategoricalCrossEntropyOnLogits": classes(CategoricalCrossEntropyOnLogits),
    "NegativeLogLikelihood": classes(NegativeLogLikelihood, [LogSoftmax]),
    "KLDivergence": classes(KLDivergence, [Softmax]),
    "OwnLoss": numbers(OwnLoss),
    "DecidingLoss": numbers(DecidingLoss),
    "CountingLoss": numbers(CountingLoss),
}


# --------------------------------------------------------------------------------------------------------- optimizers
class SignSGD(Optimizer):
    """an optimizer of the user's"""

    memory = ("m",)

    def __init__(self, learning_rate=0.01):
        super().__init__(learning_rate)

    def coefficients(self, step):
        return {"rate": self.rate(step)}

    def update(self, theta, dtheta, *, rate):
        self.m *= 0.9
        self.m += dtheta
        theta -= rate * np.sign(self.m)


class DecidingSGD(Optimizer):
    """an optimizer that looks at the numbers"""

    def __init__(self, learning_rate=0.01):
        super().__init__(learning_rate)

    def coefficients(self, step):
        return {"rate": self.rate(step)}

    def update(self, theta, dtheta, *, rate):
        if np.abs(dtheta).max() < 10:
            theta -= rate * dtheta


RATES = {
    "constant": lambda: 0.01,
    "step": lambda: schedules.step(0.02, 5, 0.5),
    "exponential": lambda: schedules.exponential(0.02, 0.95),
    "inverse_time": lambda: schedules.inverse_time(0.02, 0.1),
    "cosine": lambda: schedules.cosine(0.02, 20),
    "warm_restarts": lambda: schedules.warm_restarts(0.02, 5, 2),
    "one_cycle": lambda: schedules.one_cycle(0.02, 20),
    "warmup": lambda: schedules.warmup(4, 0.02),
    "a lambda": lambda: lambda k: 0.02 / (1 + k % 3),
    "NumPy's": lambda: np.float64(0.01),
}
OPTIMIZERS = {
    "SGD": SGD,
    "momentum": lambda rate: SGD(rate, momentum=0.9),
    "Nesterov": lambda rate: SGD(rate, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": Adam,
    "AdamW": AdamW,
    "RMSprop": RMSprop,
    "Adagrad": Adagrad,
    "SignSGD": SignSGD,
    "DecidingSGD": DecidingSGD,
}
WRAPPERS = {
    "none": lambda inner: inner,
    "ClipByNorm": lambda inner: ClipByNorm(inner, 0.3),
    "ClipByValue": lambda inner: ClipByValue(inner, 0.1),
    "ParameterAverage": lambda inner: ParameterAverage(inner, 0.9),
    "two": lambda inner: ParameterAverage(ClipByNorm(inner, 0.3), 0.9),
}


def optimizer(draws):
    rate = RATES[draws.one_of("rate", RATES)]()
    inner = OPTIMIZERS[draws.one_of("optimizer", OPTIMIZERS)](rate)
    return WRAPPERS[draws.one_of("wrapper", WRAPPERS)](inner)


# --------------------------------------------------------------------------------------------------------------- rows
def values(draws, x):
    """x with other numbers than ordinary ones in it."""
    kind, rng = draws.one_of("values", VALUES), draws.rng("values")
    some = rng.random(x.shape) < 0.3
    if kind == "zeros":
        x[some] = 0
    elif kind == "negative zeros":
        x[some] = -0.0
    elif kind == "all zero":
        x[:] = 0
    elif kind == "whole":
        x = np.round(x)
    elif kind == "large":
        x[some] *= 1e4
    elif kind == "tiny":
        x[some] *= 1e-40
    elif kind == "repeated":
        x[:] = x[:1]
    elif kind == "constant column":
        x[..., -1] = 1
    return x


VALUES = ["ordinary", "zeros", "negative zeros", "all zero", "whole", "large", "tiny", "repeated", "constant column"]


def strided(array):
    wide = np.zeros((len(array) * 2, *array.shape[1:]), array.dtype)
    wide[::2] = array
    return wide[::2]


def between_columns(array):
    wide = np.zeros((*array.shape[:-1], array.shape[-1] * 3), array.dtype)
    wide[..., 1::3] = array
    return wide[..., 1::3]


def mapped(array):
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the map keeps it)
    place = np.memmap(file, array.dtype, "w+", shape=array.shape)
    place[...] = array
    return place


def unaligned(array):
    place = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    place[...] = array
    return place


def frozen_rows(array):
    array = array.copy()
    array.flags.writeable = False
    return array


ORDERS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "memory-mapped": mapped,
    "read-only": frozen_rows,
}
INTEGERS = ORDERS | {"int32": lambda a: a.astype(np.int32), "int8": lambda a: a.astype(np.int8)}
NUMBERS = ORDERS | {
    "reversed columns": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "between columns": between_columns,
    "unaligned": unaligned,
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "big-endian": lambda a: a.astype(">f8"),
    "int64": lambda a: np.round(a * 3).clip(0).astype(np.int64),
    "uint8": lambda a: np.round(np.abs(a) * 3).astype(np.uint8),
    "bool": lambda a: a > 0,
    "float32 Fortran": lambda a: np.asfortranarray(a.astype(np.float32)),
}


def in_memory(draws, name, array, orders=NUMBERS):
    """The array as it lies in memory, in some dtype."""
    with np.errstate(over="ignore"):
        made = orders[draws.one_of(f"{name} lies", orders)](array)
    return made if made.dtype.kind != "f" or np.isfinite(made).all() else array


# ------------------------------------------------------------------------------------------------------------ augment
def noise(x, rng):
    return x + rng.normal(0, 0.1, x.shape)


def in_place(x, rng):
    x *= rng.random(x.shape) < 0.8
    return x


def one_number(x, rng):
    return x * rng.random()


def same(x, rng):
    return x


class Keeps:
    """keeps what it was given and what it gave"""

    def __init__(self):
        self.kept = []

    def __call__(self, x, rng):
        self.kept.append(x)
        return x[::-1] if rng.random() < 0.5 else x


AUGMENTS = {
    "none": None,
    "noise": lambda: noise,
    "in place": lambda: in_place,
    "one number": lambda: one_number,
    "same": lambda: same,
    "keeps": Keeps,
    "shifts": lambda: shifts(1),
}
