"""The libraries that are compared, each run in a process of its own: `python -m benchmarks.peers NAME`.

A peer offers, for a workload, one or several *ways*: functions of n that train n epochs (or predict n times) and return
when the work is done. Where it has several (threads, optimizers), the process tries them all and measures the fastest.
The process reads one JSON object a line from standard input and answers with one on standard output:

    {"set": NAME, "quick": BOOL}  ->  {"way": …, "epochs": …}     make the workload ready, warm it up
    {"run": n}                    ->  {"seconds": …}              run it n times
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import handwritten
from benchmarks.workloads import QUICK, WORKLOADS, Workload
from minigrad.blas_threads import one_blas_thread

Way = Callable[[int], Any]
SMOOTHED = 0.25  # seconds that one measurement should last
BATCHES_TRIED = 200


def shuffled_batches(epoch: int, workload: Workload) -> Iterator[Any]:
    return handwritten.batches(handwritten.shuffled(0, epoch, workload.m), workload.rows)


# ------------------------------------------------------------------------------------------------------------- minigrad


def minigrad_model(workload: Workload) -> tuple[Any, dict[str, Any]]:
    import minigrad

    hidden, last, loss = {
        "sigmoid": (minigrad.Sigmoid, [minigrad.Sigmoid()], minigrad.BinaryCrossEntropy()),
        "softmax": (minigrad.ReLU, [minigrad.Softmax()], minigrad.CategoricalCrossEntropy()),
        "regression": (minigrad.ReLU, [], minigrad.MeanSquaredError()),
    }[workload.kind]
    layers: list[Any] = []
    for inputs, outputs in pairwise(workload.widths):
        layers += [minigrad.Dense(inputs, outputs), hidden()]
    model = minigrad.Sequential([*layers[:-1], *last], seed=0)
    return model, {"loss": loss, "optimizer": minigrad.SGD(workload.eta)}


def minigrad_fit(workload: Workload) -> dict[str, Way]:
    """`fit` takes its epochs from `epochs`: measured without the checks of x and t that a call of it makes once."""
    model, training = minigrad_model(workload)
    x, t = workload.data()
    if workload.predicts:
        x = x[: workload.rows]
        return {"": lambda n: [model.predict(x) for _ in range(n)]}
    epochs = model.epochs(x, t, batch_size=workload.rows, **training)
    return {"": lambda n: [next(epochs).loss for _ in range(n)]}


def minigrad_plain(workload: Workload) -> dict[str, Way]:
    """The loop that a user would write over the same layers, nothing recorded."""
    import minigrad

    if workload.predicts:
        return {}
    model, training = minigrad_model(workload)
    objective, optimizer = minigrad.Objective(model, training["loss"]), training["optimizer"]
    x, t = workload.data()

    def run(n: int) -> list[float]:
        history = []
        for epoch in range(n):
            total = 0.0
            for rows in shuffled_batches(epoch, workload):
                total += objective.gradient(x[rows], t[rows]) * len(rows)
                optimizer.step(model.theta, model.dtheta)
            history.append(total / workload.m)
        return history

    return {"": run}


# ------------------------------------------------------------------------------------------------------- NumPy, by hand


def with_blas_threads(way: Way) -> dict[str, Way]:
    """NumPy as it comes, and with one BLAS thread: on small products a second one costs more than it gives."""

    def single(n: int) -> Any:
        with one_blas_thread():
            return way(n)

    return {"default threads": way, "1 thread": single}


def handwritten_way(workload: Workload, style: str) -> dict[str, Way]:
    model, _ = minigrad_model(workload)
    theta, widths = model.theta.copy(), workload.widths
    x, t = workload.data()
    if workload.predicts:
        x = x[: workload.rows]
        size = (workload.rows,) if style == "preallocated" else ()
        predict = getattr(handwritten, f"predict_{style}")(theta, widths, *size)
        return with_blas_threads(lambda n: [predict(x) for _ in range(n)])
    train = getattr(handwritten, f"{workload.kind}_{style}")
    return with_blas_threads(lambda n: train(theta, widths, x, t, eta=workload.eta, batch_size=workload.rows, epochs=n))


def handwritten_allocating(workload: Workload) -> dict[str, Way]:
    return handwritten_way(workload, "allocating")


def handwritten_preallocated(workload: Workload) -> dict[str, Way]:
    return handwritten_way(workload, "preallocated")


def matrix_products(workload: Workload) -> dict[str, Way]:
    if workload.predicts:
        return {}
    whole, rest = divmod(workload.m, workload.rows)
    full = handwritten.matrix_products(workload.widths, workload.rows, np.float32)
    last = handwritten.matrix_products(workload.widths, rest, np.float32)

    def run(n: int) -> None:
        full(n * whole)
        if rest:
            last(n)

    return with_blas_threads(run)


# -------------------------------------------------------------------------------------------------------------- PyTorch


def pytorch(workload: Workload) -> dict[str, Way]:
    """Eager PyTorch: its optimizers and a hand-written update, with its default threads and with one."""
    import torch
    from torch import nn

    widths, kind = workload.widths, workload.kind
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Sigmoid() if kind == "sigmoid" else nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    parameters = list(model.parameters())
    x, t = (torch.from_numpy(array) for array in workload.data())
    default = torch.get_num_threads()

    def threads(way: Way) -> Iterator[tuple[str, Way]]:
        for count in sorted({default, 1}):

            def run(n: int, count: int = count) -> None:
                torch.set_num_threads(count)
                way(n)

            yield f"{count} thread{'s' * (count > 1)}", run

    if workload.predicts:
        x, final = x[: workload.rows], nn.Sequential(model, nn.Sigmoid())

        def predict(n: int) -> None:
            with torch.inference_mode():
                for _ in range(n):
                    final(x).numpy()

        return dict(threads(predict))

    target: Any = t
    if kind == "sigmoid":
        binary = nn.BCEWithLogitsLoss(reduction="sum")
        loss = lambda z, target: binary(z, target) / len(z)  # noqa: E731
    elif kind == "softmax":
        loss, target = nn.CrossEntropyLoss(), t.argmax(dim=1)
    else:
        loss = nn.MSELoss()

    def by_hand() -> None:
        with torch.no_grad():
            torch._foreach_add_(parameters, [p.grad for p in parameters], alpha=-workload.eta)

    updates: dict[str, Callable[[], Any]] = {"update by hand": by_hand}
    for name in ("foreach", "fused"):
        updates[f"SGD({name}=True)"] = torch.optim.SGD(parameters, lr=workload.eta, **{name: True}).step  # type: ignore[arg-type]

    def train(update: Callable[[], Any]) -> Way:
        def run(n: int) -> None:
            for _ in range(n):
                total = torch.zeros(())
                for rows in torch.randperm(workload.m).split(workload.rows):
                    value = loss(model(x.index_select(0, rows)), target.index_select(0, rows))
                    for p in parameters:
                        p.grad = None
                    value.backward()
                    update()
                    total += value.detach() * len(rows)
                float(total)

        return run

    return {f"{name}, {count}": way for name, update in updates.items() for count, way in threads(train(update))}


# ------------------------------------------------------------------------------------------------------------------ JAX


def jax_scan(workload: Workload) -> dict[str, Way]:
    """The whole epoch is one compiled scan; rows are drawn inside it batch by batch, or put in order before it."""
    import jax
    import jax.numpy as jnp

    kind, eta, B = workload.kind, workload.eta, workload.rows
    model, _ = minigrad_model(workload)
    arrays = handwritten.views(model.theta, workload.widths)
    x, t = (jax.device_put(array) for array in workload.data())
    whole, rest = divmod(workload.m, B)
    act = jax.nn.sigmoid if kind == "sigmoid" else jax.nn.relu

    def logits(parameters: Any, x: Any) -> Any:
        for W, b in parameters[:-1]:
            x = act(x @ W + b)
        W, b = parameters[-1]
        return x @ W + b

    def loss(parameters: Any, x: Any, t: Any) -> Any:
        z = logits(parameters, x)
        if kind == "sigmoid":
            terms = jnp.maximum(z, 0) - t * z + jnp.log1p(jnp.exp(-jnp.abs(z)))
        else:
            terms = -t * jax.nn.log_softmax(z) if kind == "softmax" else jnp.square(z - t)
        return terms.sum() / len(z)

    def fresh() -> Any:
        copies = [jnp.array(array) for array in arrays]
        return list(zip(copies[::2], copies[1::2], strict=True))

    if workload.predicts:
        parameters, rows = fresh(), np.asarray(x[:B])
        predict = jax.jit(lambda parameters, x: jax.nn.sigmoid(logits(parameters, x)))
        return {"": lambda n: [np.asarray(predict(parameters, rows)) for _ in range(n)]}

    def step(parameters: Any, batch: Any) -> tuple[Any, Any]:
        value, gradient = jax.value_and_grad(loss)(parameters, *batch)
        return jax.tree.map(lambda p, g: p - eta * g, parameters, gradient), value * len(batch[0])

    def epoch_gathering(parameters: Any, order: Any, x: Any, t: Any) -> tuple[Any, Any]:
        def draw_and_step(parameters: Any, rows: Any) -> tuple[Any, Any]:
            return step(parameters, (x[rows], t[rows]))

        parameters, values = jax.lax.scan(draw_and_step, parameters, order[: whole * B].reshape(whole, B))
        total = values.sum()
        if rest:
            parameters, value = draw_and_step(parameters, order[whole * B :])
            total += value
        return parameters, total / workload.m

    def epoch_ordered(parameters: Any, order: Any, x: Any, t: Any) -> tuple[Any, Any]:
        x, t = x[order], t[order]
        cut = whole * B
        batches = x[:cut].reshape(whole, B, -1), t[:cut].reshape(whole, B, -1)
        parameters, values = jax.lax.scan(step, parameters, batches)
        total = values.sum()
        if rest:
            parameters, value = step(parameters, (x[cut:], t[cut:]))
            total += value
        return parameters, total / workload.m

    def way(epoch: Any, permuted_inside: bool) -> Way:
        held = [fresh()]
        key, rng = jax.random.key(0), np.random.default_rng(0)
        if permuted_inside:
            by_key = jax.jit(
                lambda parameters, key, x, t: epoch(parameters, jax.random.permutation(key, workload.m), x, t),
                donate_argnums=0,
            )
        else:
            by_order = jax.jit(epoch, donate_argnums=0)

        def run(n: int) -> None:
            for k in range(n):
                if permuted_inside:
                    held[0], value = by_key(held[0], jax.random.fold_in(key, k), x, t)
                else:
                    held[0], value = by_order(held[0], rng.permutation(workload.m), x, t)
                float(value)

        return run

    return {
        f"{how}, order from {'JAX' if inside else 'NumPy'}": way(epoch, inside)
        for how, epoch in (("gathered in the scan", epoch_gathering), ("ordered before it", epoch_ordered))
        for inside in (True, False)
    }


# --------------------------------------------------------------------------------------------------------- scikit-learn


def scikit_learn(workload: Workload) -> dict[str, Way]:
    """One `partial_fit` of all rows is one epoch: it shuffles, makes the batches and computes the loss itself."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    x, t = workload.data()
    settings: dict[str, Any] = {
        "hidden_layer_sizes": workload.widths[1:-1],
        "activation": "logistic" if workload.kind == "sigmoid" else "relu",
        "solver": "sgd",
        "learning_rate_init": workload.eta,
        "momentum": 0.0,
        "nesterovs_momentum": False,
        "alpha": 0.0,
        "batch_size": workload.rows,
    }
    if workload.kind == "regression":
        regressor = MLPRegressor(**settings)
        return {"": lambda n: [regressor.partial_fit(x, t[:, 0]) for _ in range(n)]}
    network, classes = MLPClassifier(**settings), np.arange(workload.widths[-1])
    # One-hot rows are ten yes-or-no labels to it: logistic outputs and binary cross-entropy.
    target = t if workload.kind == "sigmoid" else t.argmax(axis=1)
    network.partial_fit(x, target, classes=classes)
    if workload.predicts:
        x = x[: workload.rows]
        return {"": lambda n: [network.predict_proba(x) for _ in range(n)]}
    return {"": lambda n: [network.partial_fit(x, target) for _ in range(n)]}


# ---------------------------------------------------------------------------------------------------------- the process

PEERS: dict[str, tuple[Callable[[Workload], dict[str, Way]], str]] = {
    "minigrad fit": (minigrad_fit, "numpy"),
    "minigrad, plain path": (minigrad_plain, "numpy"),
    "hand-written, allocating": (handwritten_allocating, "numpy"),
    "hand-written, preallocated": (handwritten_preallocated, "numpy"),
    "matrix products alone": (matrix_products, "numpy"),
    "PyTorch eager": (pytorch, "torch"),
    "JAX, scanned epoch": (jax_scan, "jax"),
    "scikit-learn partial_fit": (scikit_learn, "scikit-learn"),
}


def package(name: str) -> str:
    return PEERS[name][1]


def installed(distribution: str) -> str | None:
    """The version of a package, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def timed(way: Way, n: int) -> float:
    started = time.perf_counter()
    way(n)
    return time.perf_counter() - started


def pace(way: Way, seconds: float) -> tuple[int, float]:
    """How many epochs last about so long, and the seconds that one takes."""
    n = 1
    while (spent := timed(way, n)) < seconds / 4:
        n *= 4 if spent < seconds / 16 else 2
    return max(1, round(n * seconds / spent)), spent / n


def fastest(ways: dict[str, Way], seconds: float) -> str:
    """The way with the lowest time per epoch, of three short tries in turns."""
    for way in ways.values():
        way(1)
    paces = {name: pace(way, seconds) for name, way in ways.items()}
    best = {name: spent for name, (_, spent) in paces.items()}
    for _ in range(2):
        for name, way in ways.items():
            n = paces[name][0]
            best[name] = min(best[name], timed(way, n) / n)
    return min(best, key=best.__getitem__)


def prepare(
    offers: Callable[[Workload], dict[str, Way]], workload: Workload, seconds: float
) -> tuple[dict[str, Any], Way]:
    """The fastest way, found on few rows, ready for the whole workload; and what the other side is to know of it."""
    ways = offers(workload)
    if not ways:
        return {"way": None}, len
    few = replace(workload, m=min(workload.m, BATCHES_TRIED * workload.rows))
    name = fastest(offers(few), seconds / 4) if len(ways) > 1 else next(iter(ways))
    way = ways[name]
    way(1)
    pace(way, 4 * seconds)  # minigrad's first steps run on the plain layers, and then it tries several ways
    return {"way": name, "epochs": pace(way, seconds)[0], "steps": workload.steps}, way


def machine() -> dict[str, Any]:
    """The thread pools of this process, as far as threadpoolctl knows them."""
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]]
    return {
        "blas": ", ".join(
            f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', 'unknown')} kernels, "
            f"{pool['num_threads']} threads"
            for pool in pools
        )
    }


def serve(name: str) -> None:
    answers = sys.stdout
    offers = PEERS[name][0]
    way: Way = len
    with contextlib.redirect_stdout(sys.stderr):
        print(json.dumps(machine()), file=answers, flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            if "set" in order:
                workload = next(w for w in (QUICK if order["quick"] else WORKLOADS) if w.name == order["set"])
                answer, way = prepare(offers, workload, 0.02 if order["quick"] else SMOOTHED)
            else:
                answer = {"seconds": timed(way, order["run"])}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
