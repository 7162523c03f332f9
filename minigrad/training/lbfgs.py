"""L-BFGS: all rows at once and no learning rate, for small networks and some thousand rows."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from minigrad.model import Model, Snapshot
from minigrad.parameter import Array, states_of, walk
from minigrad.training.dataset import Dataset, as_examples
from minigrad.training.history import DivergenceError, History
from minigrad.training.objective import Objective
from minigrad.version import installing


def minimize_lbfgs(
    objective: Objective, x: Any, t: Any, *, sample_weight: Any = None, iterations: int = 200, memory: int = 10
) -> History:
    """Bring J(θ) on all rows of x and t (as for `fit`) to a minimum, or as far as so many iterations do.

        minimize_lbfgs(Objective(model, BinaryCrossEntropy(), l2=1 / len(x)), x, labels, iterations=50)

    θ ← θ - η H dθ, where H, an approximation of the inverse of the second derivative, comes from the last `memory`
    changes of θ and dθ, and the rate η from a line search. Source: Liu and Nocedal, "On the limited memory BFGS method
    for large scale optimization", Mathematical Programming 45, 1989, in SciPy's L-BFGS-B. SciPy computes in float64,
    the model in its own dtype.

    `loss` in the History is J after each iteration, penalties included. Needs SciPy. Raises TypeError for what is no
    Objective; ValueError for less than one iteration, and for a model that draws random numbers, as with Dropout: J
    must not change from one look at it to the next; DivergenceError when J is not finite; the model is then as it was.
    """
    try:
        from scipy.optimize import minimize
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"minimize_lbfgs needs SciPy: {installing('lbfgs')}") from None
    if not isinstance(objective, Objective):
        raise TypeError(f"minimize_lbfgs takes an Objective(model, loss), not {objective!r:.100}")
    if iterations < 1:
        raise ValueError(f"iterations={iterations}: make at least one")
    model = objective.model
    _refuse_noise(model)
    examples = as_examples(model, objective.given, Dataset(x, t, sample_weight))
    examples.check_weights("training")
    rows = np.arange(len(examples))
    batch = model.admit(examples.x), examples.targets(rows), examples.weights(rows)
    before, history, begun = Snapshot([model]), History(), time.perf_counter()

    def value_and_gradient(theta: Array) -> tuple[float, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            model.theta[...] = theta
            value = objective.gradient(*batch)
        if not math.isfinite(value) or not np.isfinite(model.dtheta).all():
            before.restore()
            raise DivergenceError(
                f"L-BFGS, after {len(history)} iterations: the loss or its gradient is not finite. The model is as it "
                f"was before",
                history,
            )
        return value, model.dtheta.astype(np.float64)

    def iterated(intermediate_result: Any) -> None:
        nonlocal begun
        history.loss.append(float(intermediate_result.fun))
        history.seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()

    result = minimize(
        value_and_gradient,
        model.theta.astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        callback=iterated,
        options={"maxiter": iterations, "maxfun": 20 * iterations, "maxcor": memory},
    )
    value_and_gradient(result.x)
    return history


def _refuse_noise(model: Model) -> None:
    for layer in walk([model]):
        if any(isinstance(value, np.random.Generator) for value in states_of(layer).values()):
            raise ValueError(f"{layer!r} draws random numbers, but L-BFGS needs an objective that stays the same")
