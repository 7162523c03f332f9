"""How good a model is on rows, after an epoch: the loss, what fits it, and measures of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from minigrad.data.examples import WeightedMean
from minigrad.losses import PADDING
from minigrad.parameter import Array
from minigrad.training.dataset import Rows
from minigrad.training.history import Monitor
from minigrad.training.objective import Objective

Metric: TypeAlias = Callable[[Any, Any], Any]
"""f(t, p): targets (labels, where the model was trained on labels) and outputs; (m,) each where there is one output."""

ROWS_AT_ONCE = 1024


def check_metrics(given: Mapping[str, Metric] | None, monitor: str | None, *, held_out: bool) -> Monitor:
    """The monitor that `fit` is asked for. Raises TypeError or ValueError, in the words of its arguments."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            f"metrics={given!r:.60}: give a dict of functions of (t, p), such as {{'mae': mean_absolute_error}}; "
            f"accuracy and r2 are measured anyway, where there are rows for validation"
        )
    for name, metric in (given or {}).items():
        if not callable(metric):
            raise TypeError(
                f"metrics={{{name!r}: {metric!r:.40}}}: give a function of (t, p), such as one of minigrad.metrics; "
                f"accuracy and r2 are measured anyway"
            )
    if monitor is None:
        return Monitor()
    if not held_out:
        raise ValueError("monitor watches rows that are not trained on: give validation=0.1, or (x, t), too")
    return Monitor(monitor.removeprefix("validation_").removeprefix("val_"))


def evaluate(objective: Objective, rows: Rows, own: Mapping[str, Metric]) -> tuple[float, dict[str, float]]:
    """The loss (without the penalty) and the measures on rows as they are, of all ranks where there are."""
    return objective.communicator.joined(partial(_answers, objective, rows), partial(_measured, objective, own))


def _answers(objective: Objective, held_out: Rows) -> tuple[WeightedMean, list[Array], list[Array]]:
    """The mean loss, predictions and targets, batch by batch."""
    mean, ps, ts = WeightedMean(), [], []
    for batch in held_out.in_order(ROWS_AT_ONCE):
        z, p = objective.predict(batch.x)
        if weight := batch.weight:
            mean.add(objective.loss_of(z, batch.t, batch.w), weight)
        ps.append(p)
        ts.append(batch.t)
    return mean, ps, ts


def _measured(
    objective: Objective, own: Mapping[str, Metric], answers: list[tuple[WeightedMean, list[Array], list[Array]]]
) -> tuple[float, dict[str, float]]:
    mean = WeightedMean()
    for each, _, _ in answers:
        mean.total += each.total
        mean.weight += each.weight
    ps, ts = [p for _, some, _ in answers for p in some], [t for _, _, some in answers for t in some]
    p, t = np.concatenate(ps), np.concatenate(ts)
    return float(mean), _measure(objective, p, t) | _own(objective, own, p, t)


def _own(objective: Objective, own: Mapping[str, Metric], p: Array, t: Array) -> dict[str, float]:
    """The measures of the user's own, in the words that t had."""
    if not own:
        return {}
    classes, single = objective.model.classes, p.ndim == 2 and p.shape[1] == 1
    if objective.classifies and classes is not None and t.ndim == p.ndim == 2:
        t = classes[(t[:, 0] >= 0.5).astype(np.intp) if single else t.argmax(axis=-1)]
    elif single:
        t = t.reshape(len(t))
    p = p[:, 0] if single else p
    found: dict[str, float] = {}
    for name, metric in own.items():
        try:
            found[name] = float(metric(t, p))
        except Exception as error:
            error.add_note(f"in metrics[{name!r}], which was given t of shape {t.shape} and p of shape {p.shape}")
            raise
    return found


def _measure(objective: Objective, p: Array, t: Array) -> dict[str, float]:
    from minigrad import metrics  # `import minigrad` is to be quick

    if not objective.classifies:
        return {"r2": metrics.r2_score(t, p)} if len(t) > 1 and p.shape == t.shape else {}
    if t.ndim < p.ndim:  # a label for each step
        known = t != PADDING
        return {"accuracy": float((p.argmax(axis=-1) == t)[known].mean())} if known.any() else {}
    if p.ndim > 1 and p.shape[-1] > 1:
        answers, labels, totals = p.argmax(axis=-1), t.argmax(axis=-1), t.sum(axis=-1)
        known = totals == 1
        if known.all() or (p.ndim > 2 and known.any() and not totals[~known].any()):
            return {"accuracy": metrics.accuracy(labels[known], answers[known])}
    right = (p >= objective.model.boundary) == (t >= 0.5)
    return {"accuracy": float(right.reshape(len(right), -1).all(axis=1).mean())}
