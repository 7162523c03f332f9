"""Agreement with PyTorch, on the stored cases that make_cases.py wrote: optimizers, activations, losses, a training."""

import copy
from math import prod
from pathlib import Path

import numpy as np
import pytest

from minigrad import (
    CELU,
    ELU,
    GELU,
    GLU,
    GRU,
    LSTM,
    SELU,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    AvgPool2D,
    BatchNorm,
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    ClipByNorm,
    ClipByValue,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    CosineSimilarity,
    Dense,
    Embedding,
    GaussianNLL,
    GlobalAvgPool2D,
    GroupNorm,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Hinge,
    Huber,
    KLDivergence,
    LayerNorm,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    MaxPool2D,
    MeanAbsoluteError,
    MeanSquaredError,
    Mish,
    MultiHeadAttention,
    NAdam,
    NegativeLogLikelihood,
    Objective,
    ParameterAverage,
    Poisson,
    PReLU,
    Quantile,
    RAdam,
    ReLU,
    ReLU6,
    RMSNorm,
    RMSprop,
    Rprop,
    Sequential,
    Sigmoid,
    SimpleRNN,
    Softmax,
    Softplus,
    Softsign,
    SumOfLosses,
    SwiGLU,
    Swish,
    Tanh,
    schedules,
)

CASES = Path(__file__).parent / "cases"

OPTIMIZERS = {
    "sgd": SGD(0.05),
    "sgd_momentum": SGD(0.02, momentum=0.9),
    "sgd_nesterov": SGD(0.02, momentum=0.8, nesterov=True),
    "sgd_decay": SGD(0.05, weight_decay=0.1),
    "sgd_all": SGD(0.02, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": Adam(),
    "adam_decay": Adam(0.02, weight_decay=0.1),
    "adam_betas": Adam(0.02, beta1=0.7, beta2=0.95, eps=1e-3),
    "adamw": AdamW(),
    "adamw_decay": AdamW(0.02, beta1=0.8, beta2=0.99, weight_decay=0.3),
    "rmsprop": RMSprop(),
    "rmsprop_momentum": RMSprop(0.005, alpha=0.9, momentum=0.8),
    "rmsprop_decay": RMSprop(0.02, weight_decay=0.1, eps=1e-3),
    "adagrad": Adagrad(),
    "adagrad_decay": Adagrad(0.3, weight_decay=0.1),
    "adadelta": Adadelta(),
    "adadelta_decay": Adadelta(0.5, rho=0.8, eps=1e-3, weight_decay=0.1),
    "adamax": Adamax(),
    "adamax_decay": Adamax(0.02, beta1=0.8, beta2=0.99, weight_decay=0.1),
    "nadam": NAdam(),
    "nadam_decay": NAdam(0.02, beta1=0.8, beta2=0.99, weight_decay=0.1, momentum_decay=0.01),
    "radam": RAdam(),
    "radam_decay": RAdam(0.02, beta1=0.8, beta2=0.99, weight_decay=0.1),
    "rprop": Rprop(),
    "rprop_other": Rprop(0.1, eta_minus=0.3, eta_plus=1.5, least=1e-3, most=0.2),
    "clip_norm": ClipByNorm(SGD(0.02, momentum=0.9, nesterov=True, weight_decay=0.1), 2.5),
    "clip_norm_adam": ClipByNorm(AdamW(0.02, beta1=0.8, beta2=0.99, weight_decay=0.3), 0.5),
    "clip_value": ClipByValue(RMSprop(0.02, weight_decay=0.1, eps=1e-3), 0.7),
    "clip_both": ClipByValue(ClipByNorm(SGD(0.02, momentum=0.9), 2), 1.5),
}

SCHEDULES = {
    "step": schedules.step(0.2, 30, 0.5),
    "exponential": schedules.exponential(0.2, 0.97),
    "inverse_time": schedules.inverse_time(0.2, 0.05),
    "cosine": schedules.cosine(0.2, 100),
    "cosine_minimum": schedules.cosine(0.2, 130, 0.01),
    "warm_restarts": schedules.warm_restarts(0.2, 30),
    "warm_restarts_longer": schedules.warm_restarts(0.2, 10, 2, 0.01),
    "one_cycle": schedules.one_cycle(0.2, 100),
    "one_cycle_early": schedules.one_cycle(0.2, 110, 0.15),
    "warmup": schedules.warmup(20, 0.2),
    "warmup_cosine": schedules.warmup(20, schedules.cosine(0.2, 80)),
}

ACTIVATIONS = {
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "relu": ReLU(),
    "softmax": Softmax(),
    "silu": Swish(),
    "leaky_relu": LeakyReLU(0.03),
    "elu": ELU(1.5),
    "gelu": GELU(),
    "gelu_tanh": GELU("tanh"),
    "softplus": Softplus(),
    "hard_sigmoid": HardSigmoid(),
    "selu": SELU(),
    "celu": CELU(1.5),
    "mish": Mish(),
    "softsign": Softsign(),
    "relu6": ReLU6(),
    "hard_tanh": HardTanh(-1.5, 2.0),
    "hard_swish": HardSwish(),
    "log_sigmoid": LogSigmoid(),
    "log_softmax": LogSoftmax(),
}

NORMALIZATIONS = {  # the layer, and its parameters by PyTorch's part
    "layer_norm": (LayerNorm(3), {"gamma": "g", "beta": "b"}),
    "layer_norm_eps": (LayerNorm(3, 0.1), {"gamma": "g", "beta": "b"}),
    "rms_norm": (RMSNorm(3), {"gamma": "g"}),
    "rms_norm_eps": (RMSNorm(3, 0.1), {"gamma": "g"}),
    "prelu": (PReLU(3), {"a": "g"}),
    "layer_norm_plain": (LayerNorm(3, affine=False), {}),
    "group_norm": (GroupNorm(1, 3), {"gamma": "g", "beta": "b"}),
}

CONVOLUTIONS = {
    "plain": Conv2D(2, 3, 3),
    "unbiased": Conv2D(1, 2, (2, 3), bias=False),
    "strided": Conv2D(2, 2, (3, 2), stride=(2, 3)),
    "padded": Conv2D(1, 2, 3, padding=(2, 1)),
    "same": Conv2D(2, 1, (4, 3), padding="same"),
    "same_dilated": Conv2D(1, 1, (2, 3), padding="same", dilation=(3, 2)),
    "dilated": Conv2D(1, 2, (3, 2), dilation=(2, 3)),
    "grouped": Conv2D(4, 6, 2, groups=2),
    "depthwise": Conv2D(3, 3, 3, groups=3, padding=1, stride=2),
    "all": Conv2D(4, 2, (2, 3), stride=2, padding=(1, 2), dilation=(2, 1), groups=2),
    "line": Conv1D(2, 3, 3),
    "line_all": Conv1D(4, 2, 2, stride=2, padding=2, dilation=3, groups=2),
    "line_same": Conv1D(1, 2, 4, padding="same"),
    "reflect": Conv2D(1, 2, (3, 2), stride=(2, 1), padding=(2, 1), padding_mode="reflect"),
    "replicate": Conv2D(2, 1, 3, padding=(1, 3), padding_mode="replicate"),
    "circular": Conv2D(1, 1, (2, 3), padding=(1, 2), dilation=2, padding_mode="circular"),
    "transposed": ConvTranspose2D(2, 3, 3),
    "transposed_strided": ConvTranspose2D(2, 1, (3, 2), stride=(2, 3), padding=1, output_padding=1),
    "transposed_all": ConvTranspose2D(
        4, 6, (2, 3), stride=2, padding=(1, 2), output_padding=(2, 1), dilation=(3, 2), groups=2
    ),
}
POOLS = {
    "max": MaxPool2D(2),
    "max_overlapping": MaxPool2D((3, 2), (2, 1), 1),
    "mean": AvgPool2D(2),
    "mean_overlapping": AvgPool2D(3, (1, 2), 1),
    "mean_of_all": GlobalAvgPool2D(),
    "max_dilated": MaxPool2D((2, 3), 2, (0, 1), dilation=(3, 2)),
    "max_ceil": MaxPool2D((2, 3), (3, 2), 1, ceil_mode=True),
    "mean_ceil": AvgPool2D((3, 2), 2, 1, ceil_mode=True),
    "mean_without": AvgPool2D(3, 2, 1, ceil_mode=True, count_include_pad=False),
}

LOSSES = {  # the loss, and which inputs it compares
    "binary": (BinaryCrossEntropy(), "p", "yes_no"),
    "binary_on_logits": (BinaryCrossEntropyOnLogits(), "z", "yes_no"),
    "categorical": (CategoricalCrossEntropy(), "distribution", "class"),
    "categorical_on_logits": (CategoricalCrossEntropyOnLogits(), "z", "class"),
    "binary_smoothed": (BinaryCrossEntropy(0.1), "p", "yes_no"),
    "binary_smoothed_on_logits": (BinaryCrossEntropyOnLogits(0.1), "z", "yes_no"),
    "categorical_smoothed_on_logits": (CategoricalCrossEntropyOnLogits(0.2), "z", "class"),
    "likelihood_on_logs": (NegativeLogLikelihood(), "logs", "class"),
    "divergence": (KLDivergence(), "distribution", "class"),
    "hinge": (Hinge(), "number", "sign"),
    "poisson": (Poisson(), "rate", "count"),
    "squared": (MeanSquaredError(), "number", "target"),
    "absolute": (MeanAbsoluteError(), "number", "target"),
    "huber": (Huber(), "number", "target"),
    "huber_half": (Huber(0.5), "number", "target"),
}

AT_ENDS = "hard_sigmoid_at_its_ends"
both = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture(scope="module")
def case():
    return {path.stem: dict(np.load(path)) for path in CASES.glob("*.npz")}


def test_every_stored_case_is_compared(case):
    of_dtypes = ["float32_", "float64_"]
    of_case = {"trajectories", "schedules", "activations", "losses", "layers", "convolutions", "sequences"}
    of_case |= {"training", "weights", "others"}
    assert set(case) == of_case
    assert set(case["trajectories"]) == {"start", "noise", *OPTIMIZERS}
    assert set(case["activations"]) == {d + name for d in of_dtypes for name in ("x", "dy", AT_ENDS, *ACTIVATIONS)}
    of_schedules = {f"{name}_{what}" for name in SCHEDULES for what in ("rates", "path")}
    assert set(case["schedules"]) == {"losses", "plateau", "average", *of_schedules}
    inputs = {name for _, *names in LOSSES.values() for name in names}
    assert set(case["convolutions"]) == {f"{batch}_{name}" for batch in BATCHES for name in CONVOLUTIONS | POOLS}
    assert set(case["losses"]) == {d + name for d in of_dtypes for name in (*inputs, *LOSSES)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_of_an_optimizer_equal_pytorchs(case, name):
    stored, optimizer, path = case["trajectories"], copy.deepcopy(OPTIMIZERS[name]), []
    theta = stored["start"].copy()
    for g in stored["noise"]:
        optimizer.step(theta, g + theta * theta * theta)
        path.append(theta.copy())
    np.testing.assert_allclose(path[9::10], stored[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_hundred_steps_of_a_schedule_equal_pytorchs(case, name):
    stored, schedule, path = case["schedules"], SCHEDULES[name], []
    rates = [schedule(k) for k in range(100)]
    np.testing.assert_allclose(rates, stored[f"{name}_rates"], rtol=1e-10, atol=1e-16)
    theta, optimizer = case["trajectories"]["start"].copy(), SGD(schedule, momentum=0.5)
    for g in case["trajectories"]["noise"]:
        optimizer.step(theta, 0.1 * g + theta)
        path.append(theta.copy())
    np.testing.assert_allclose(path[9::10], stored[f"{name}_path"], rtol=0, atol=1e-12)


def test_a_hundred_epochs_of_a_plateau_schedule_equal_pytorchs(case):
    optimizer, rates = SGD(0.2), []
    plateau = schedules.ReduceOnPlateau(optimizer, factor=0.5, patience=2, threshold=0.01, minimum=0.003)
    for loss in case["schedules"]["losses"]:
        plateau.update(loss)
        rates.append(optimizer.learning_rate)
    assert len(set(rates)) > 4
    np.testing.assert_allclose(rates, case["schedules"]["plateau"], rtol=1e-14)


def test_a_hundred_steps_of_a_parameter_average_equal_pytorchs(case):
    optimizer, path, theta = ParameterAverage(Adam(0.02), 0.9), [], case["trajectories"]["start"].copy()
    for g in case["trajectories"]["noise"]:
        optimizer.step(theta, g + theta * theta * theta)
        path.append(optimizer.average.copy())
    np.testing.assert_allclose(path[9::10], case["schedules"]["average"], rtol=1e-12, atol=1e-12)


@both
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_equals_pytorchs(case, name, dtype):
    stored, layer, eps = case["activations"], ACTIVATIONS[name], float(np.finfo(dtype).eps)
    y, dx = stored[f"{dtype}_{name}"]
    # Absolute tolerances, since there PyTorch itself has no more digits: it takes 1 - y from y close to 1, Φ from
    # 1 + erf, and Softplus as x from x = 20 on. test_numerics.py compares with the truth instead.
    scale = max(1, np.abs(stored[f"{dtype}_dy"]).max())
    np.testing.assert_allclose(layer.forward(stored[f"{dtype}_x"]), y, rtol=8 * eps, atol=8 * eps)
    np.testing.assert_allclose(layer.backward(stored[f"{dtype}_dy"]), dx, rtol=8 * eps, atol=8 * scale * eps)


@both
def test_hard_sigmoid_equals_pytorchs_at_its_kinks(case, dtype):
    layer, (y, dx) = HardSigmoid(), case["activations"][f"{dtype}_{AT_ENDS}"]
    assert np.array_equal(layer.forward(np.array([-3, 3], dtype)), y)
    assert np.array_equal(layer.backward(np.ones(2, dtype)), dx)


@both
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_equals_pytorchs(case, name, dtype):
    (loss, p, t), stored, eps = LOSSES[name], case["losses"], float(np.finfo(dtype).eps)
    p, t = stored[f"{dtype}_{p}"], stored[f"{dtype}_{t}"]
    terms, dp = stored[f"{dtype}_{name}"]
    # PyTorch takes log s(z) from z, at z = 40 to 40 eps, where minigrad keeps digits: rows are measured by their |z|.
    rounding = 4 * eps * np.maximum(1, np.abs(p).max(axis=1, keepdims=True))
    assert (np.abs(loss.terms(p, t) - terms) <= rounding).all()
    assert loss.forward(p, t) == pytest.approx(terms.sum(dtype="float64") / len(p), rel=8 * eps)
    # A term's slope is at most a few eps off. For a probability, it is 1 / p or 1 / (1 - p) that rounds.
    np.testing.assert_allclose(loss.backward(p, t), dp, rtol=16 * eps, atol=4 * eps / len(p))


INPUTS = range(4)
BATCHES = ["float32_2", "float64_1", "float64_2"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def packed(layer, dtype, **values):
    """A copy of the layer in a model of that dtype, with these parameters."""
    layer = Sequential([copy.deepcopy(layer)], dtype=dtype)[0]
    for name, value in values.items():
        layer.params[name][...] = value
    return layer


def assert_close(got, expected, dtype):
    assert got.dtype == expected.dtype == dtype
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


GATES = {"glu": GLU(), "swiglu": SwiGLU()}
MEASURES = {
    "cosine": CosineSimilarity(),
    "quantile": Quantile(0.9),
    "gaussian": GaussianNLL(),
    "sum": SumOfLosses([(CategoricalCrossEntropyOnLogits(), 3), (MeanSquaredError(), 1, 0.1)]),
}


@both
@pytest.mark.parametrize("name", GATES)
def test_a_gate_equals_pytorchs(case, name, dtype):
    x, dy, y, dx = (case["others"][f"{dtype}_{name}_{part}"] for part in ("x", "dy", "y", "dx"))
    layer = copy.deepcopy(GATES[name])
    assert_close(layer.forward(x), y, dtype)
    assert_close(layer.backward(dy), dx, dtype)


@both
@pytest.mark.parametrize("name", MEASURES)
def test_a_loss_over_several_columns_equals_pytorchs(case, name, dtype):
    p, t, terms, dp = (case["others"][f"{dtype}_{name}_{part}"] for part in ("p", "t", "terms", "dp"))
    loss, last = MEASURES[name], Softplus()
    if name == "gaussian":  # PyTorch's variances are made of p by a softplus
        p = np.concatenate([p[:, :2], last.forward(p[:, 2:])], axis=1)
    assert_close(loss.terms(p, t), terms, dtype)
    found = loss.backward(p, t)
    if name == "gaussian":
        found = np.concatenate([found[:, :2], last.backward(found[:, 2:])], axis=1)
    assert_close(found, dp, dtype)
    assert loss.forward(p, t) == pytest.approx(terms.sum(dtype="float64") / len(p), rel=TOLERANCE[dtype])


@both
@pytest.mark.parametrize("k", INPUTS)
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_layer_with_parameters_equals_pytorchs(case, name, k, dtype):
    (layer, parts), stored = NORMALIZATIONS[name], case["layers"]
    layer = packed(layer, dtype, **{own: stored[f"{dtype}_{k}_{part}"] for own, part in parts.items()})
    y, dx = stored[f"{dtype}_{k}_{name}"]
    expected = dict(zip("gb", stored[f"{dtype}_{k}_{name}_parameters"], strict=True))
    assert_close(layer.forward(stored[f"{dtype}_{k}_x"]), y, dtype)
    assert_close(layer.backward(stored[f"{dtype}_{k}_dy"]), dx, dtype)
    for own, part in parts.items():
        assert_close(layer.grads[own], expected[part], dtype)


@both
@pytest.mark.parametrize("k", INPUTS[1:])
def test_batch_norm_equals_pytorchs(case, k, dtype):
    stored = {name.removeprefix(f"{dtype}_{k}_"): value for name, value in case["layers"].items()}
    layer = packed(BatchNorm(3, momentum=0.3), dtype, gamma=stored["g"], beta=stored["b"])
    x, dy, n = stored["x"], stored["dy"], stored["x"].size // 3
    for step in (1, 2):
        y, dx = stored[f"batch_norm_{step}"]
        dg, db, mean, var = stored[f"batch_norm_{step}_parameters"]
        assert_close(layer.forward(x.dtype.type(step) * x).reshape(-1, 3), y, dtype)
        assert_close(layer.backward(dy).reshape(-1, 3), dx, dtype)
        assert_close(layer.dgamma, dg, dtype)
        assert_close(layer.dbeta, db, dtype)
        assert_close(layer.running_mean, mean, dtype)
        kept = x.dtype.type(0.7**step)  # of the 1 to begin with; the rest is PyTorch's unbiased variance
        assert_close(layer.running_var, kept + (var - kept) * x.dtype.type((n - 1) / n), dtype)
    layer.running_var = var
    assert_close(layer.predict(x).reshape(-1, 3), stored["batch_norm_inference"], dtype)


@both
def test_an_embedding_equals_pytorchs(case, dtype):
    stored = {name.removeprefix(f"{dtype}_embedding_"): value for name, value in case["layers"].items()}
    layer = packed(Embedding(5, 3), dtype, W=stored["W"])
    assert np.array_equal(layer.forward(stored["x"]), stored["y"])
    assert layer.backward(stored["dy"]) is None
    assert_close(layer.dW, stored["dW"], dtype)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CONVOLUTIONS | POOLS)
def test_a_convolution_or_pool_equals_pytorchs(case, name, batch):
    (dtype, rows), layer = batch.split("_"), (CONVOLUTIONS | POOLS)[name]
    row = (*((7,) if "line" in name else (3, 2) if "transposed" in name else (6, 5)), getattr(layer, "in_channels", 2))
    x, y = (int(rows), *row), (int(rows), *layer.output_shape(row))
    own = [value.shape for value in layer.params.values()]
    shapes = [x, *own, y, y, x, *own]
    parts = np.split(case["convolutions"][f"{batch}_{name}"], np.cumsum([prod(shape) for shape in shapes]))
    x, *values, dy, y, dx, dW, db = (
        *(part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)), *[None] * (2 - len(own))
    )  # fmt: skip
    layer = packed(layer, dtype, **dict(zip(layer.params, values, strict=True)))
    assert_close(layer.forward(x), y, dtype)
    assert_close(layer.backward(dy), dx, dtype)
    for gradient, expected in zip(layer.grads.values(), (dW, db), strict=False):
        assert_close(gradient, expected, dtype)
    assert parts[-1].size == 0


SEQUENCES = {
    "rnn": SimpleRNN(4, 2, return_sequences=True),
    "lstm": LSTM(4, 2, return_sequences=True),
    "gru": GRU(4, 2, return_sequences=True),
    "attention": MultiHeadAttention(4, 2),
    "causal_attention": MultiHeadAttention(4, 2, causal=True),
}


@both
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_layer_of_steps_equals_pytorchs(case, name, dtype):
    layer, count = SEQUENCES[name], len(SEQUENCES[name].params)
    x, *parts = (case["sequences"][f"{dtype}_{name}_{k}"] for k in range(4 + 2 * count))
    layer = packed(layer, dtype, **dict(zip(layer.params, parts[:count], strict=True)))
    dy, y, dx, *gradients = parts[count:]
    assert_close(layer.forward(x), y, dtype)
    assert_close(layer.backward(dy), dx, dtype)
    for gradient, expected in zip(layer.grads.values(), gradients, strict=True):
        assert_close(gradient, expected, dtype)


def fresh(case):
    stored = case["training"]
    model = Sequential([Dense(12, 7), Sigmoid(), Dense(7, 4), Sigmoid()], dtype=np.float64)
    model.theta[...] = stored["theta"][0]
    return model, stored["x"], stored["t"], stored["theta"][1:]


def by_the_objective(model, loss, optimizer, x, t):
    Objective(model, loss).gradient(x, t)
    optimizer.step(model.theta, model.dtheta)


def by_hand(model, loss, optimizer, x, t):
    model.backward(loss.backward(model.forward(x), t))
    optimizer.step(model.theta, model.dtheta)


def by_fit(model, loss, optimizer, x, t):
    model.fit(x, t, loss=loss, optimizer=optimizer, epochs=1, batch_size=8, shuffle=False)


@pytest.mark.parametrize("step", [by_the_objective, by_hand, by_fit])
def test_a_training_equals_pytorchs(case, step):
    model, x, t, expected = fresh(case)
    loss, optimizer, path = BinaryCrossEntropy(), SGD(0.5), []
    for k in range(50):
        rows = slice(k % 5 * 8, k % 5 * 8 + 8)
        step(model, loss, optimizer, x[rows], t[rows])
        path.append(model.theta.copy())
    np.testing.assert_allclose(path[9::10], expected, rtol=0, atol=1e-12)


def test_the_cases_are_what_their_script_writes(case):
    torch = pytest.importorskip("torch")
    import make_cases

    assert set(case) == set(make_cases.ALL)
    for name, make in make_cases.ALL.items():
        torch.set_default_dtype(torch.float64)  # as the script does
        try:
            made = make()
        finally:
            torch.set_default_dtype(torch.float32)
        assert set(made) == set(case[name])
        for key, value in made.items():
            stored = case[name][key]
            assert (value.shape, value.dtype) == (stored.shape, stored.dtype), key
            # Not equal bit for bit: PyTorch rounds otherwise on another kind of processor.
            tolerance = 64 * np.finfo(stored.dtype).eps if stored.dtype.kind == "f" else 0
            np.testing.assert_allclose(value, stored, rtol=tolerance, atol=tolerance, err_msg=key)
