"""A training as a file: what it needs to go on bit for bit, and what tells that it is the same training."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from typing import Any

import numpy as np

from minigrad.atomic import replacing, target_of
from minigrad.model import Model, Snapshot
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.saving import ModelFileError
from minigrad.saving.building import build, checked_values
from minigrad.saving.describing import describe, describe_classes, tensors_of
from minigrad.saving.format import as_json, making, naming, read, short
from minigrad.saving.models import encode_model, loadable
from minigrad.saving.settings import comparable, described
from minigrad.saving.slots import fill

SECONDS_BETWEEN = 1.0  # writing a checkpoint takes as long as many epochs of a small network
LARGEST_SHARE = 1 / 20  # of the time of a training that writing may take
LISTS = {"loss", "validation_loss", "seconds"}  # of a History, beside those of its metrics


class Checkpoint:
    """The file in which the training of a model by an optimizer is kept, to go on with after a stop or a kill.

    `settings` are what must be the same when it goes on: numbers, functions, losses, the optimizer and Examples. They
    are put in words when the training begins, since that is when they are compared.
    """

    def __init__(
        self, path: str | os.PathLike[str], model: Model, optimizer: Optimizer, settings: dict[str, Any]
    ) -> None:
        self.path = path
        self.model = model
        self.optimizer = optimizer
        self.settings: dict[str, str] = described(settings)
        self._next = -math.inf

    def resume(self) -> tuple[dict[str, Any], Snapshot | None] | None:
        """Put model and optimizer where the training in the file stands, and return (history, best); None without one.

        `history` holds the fields of a History, `best` what the best epoch left, with early stopping. Raises ValueError
        that names the difference when the file belongs to another model or another training, or when there is no file
        and the model could not be saved, and ModelFileError for a file that is damaged or no checkpoint; model and
        optimizer are then as they were.
        """
        if not target_of(self.path).exists():
            loadable(self.model, self.path)
            return None
        with naming(self.path):
            metadata, tensors = read(self.path)
            held, checkpoint = build(metadata, tensors), metadata["checkpoint"]
            if checkpoint is None:
                raise ModelFileError("holds a model, but no training to go on with; give the checkpoint another name")
            history = _history(checkpoint, _within("checkpoint.history.", tensors))
            latest = _within("checkpoint.latest.", tensors)
            values = checked_values(held, latest, checkpoint["generators"]) if latest else None
        self._compare(metadata)
        state = {**checkpoint["optimizer"], **_within("checkpoint.optimizer.", tensors)}
        with naming(self.path), making(f"a state of {self.optimizer!r}"):
            trial = copy.deepcopy(self.optimizer)
            trial.load_state(state)
            trial.prepare(self.model.theta)
        self.optimizer.load_state(state)
        fill(self.model, [value for _, _, value in Snapshot([held]).saved])
        if values is None:
            return history, None
        best = Snapshot([self.model])
        fill(self.model, values)
        return history, best

    def due(self) -> bool:
        """Whether it is time to write: at first, then a second after the last time, or later where writing is slow."""
        return time.monotonic() >= self._next

    def write(self, history: dict[str, Any], best: Snapshot | None) -> None:
        """Write where the training stands, as `save` does; `history` holds the fields of a History.

        With `best`, that is what `load` makes of the file, and the latest values stand beside it.
        """
        begun = time.monotonic()
        latest = Snapshot([self.model])
        arrays, generators = tensors_of(self.model, latest)
        tensors = {} if best is None else {f"checkpoint.latest.{name}": array for name, array in arrays.items()}
        for name, values in _columns(history).items():
            tensors[f"checkpoint.history.{name}"] = np.array(values, np.float64)
        state = self.optimizer.state()
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                tensors[f"checkpoint.optimizer.{name}"] = np.array(value, order="C")
        checkpoint = {
            "settings": self.settings,
            "best_epoch": history["best_epoch"],
            "optimizer": {name: value for name, value in state.items() if not isinstance(value, np.ndarray)},
            "generators": generators,
        }
        written = encode_model(self.model, best or latest, tensors, checkpoint)
        with replacing(self.path) as file:
            file.write(written)
        ended = time.monotonic()
        self._next = ended + SECONDS_BETWEEN * max(1, (ended - begun) / LARGEST_SHARE)

    def _compare(self, metadata: dict[str, Any]) -> None:
        """Raise ValueError that names the first difference between the training in the file and this one."""
        held, settings = comparable(metadata["checkpoint"]["settings"], self.settings)
        training = {"settings": settings, "model": describe(self.model), "classes": describe_classes(self.model)}
        now = json.loads(as_json(training))
        then = {"settings": held, "model": metadata["model"], "classes": metadata["classes"]}
        if then != now:
            raise ValueError(
                f"{self.path} is the checkpoint of another training: {_difference('', then, now)}; "
                f"give this one another name, or delete the file to begin anew"
            )


def _difference(place: str, then: Any, now: Any) -> str:
    """The first difference of two trees of JSON, in words."""
    if isinstance(then, dict) and isinstance(now, dict):
        key = next(key for key in then | now if then.get(key, ...) != now.get(key, ...))
        inner = place if key in ("settings", "config") else f"{place}.{key}".removeprefix(".")
        return _difference(inner, then.get(key, "missing"), now.get(key, "missing"))
    if isinstance(then, list) and isinstance(now, list):
        for position, (item, other) in enumerate(zip(then, now, strict=False)):
            if item != other:
                return _difference(f"{place}[{position}]", item, other)
        return f"its {place} has {len(then)} items, here it has {len(now)}"
    return f"its {place} is {short(then)}, here it is {short(now)}"


def _columns(history: dict[str, Any]) -> dict[str, list[float]]:
    """The lists of a history, by flat names."""
    lists = {name: values for name, values in history.items() if isinstance(values, list)}
    return lists | {f"metrics.{name}": values for name, values in history["metrics"].items()}


def _history(checkpoint: dict[str, Any], columns: dict[str, Array]) -> dict[str, Any]:
    """The fields of a History."""
    names = {name for name in columns if not name.startswith("metrics.")}
    if names - LISTS:
        raise ModelFileError(f"is not consistent: its history has no list of {short(min(names - LISTS))}")
    if LISTS - names:
        raise ModelFileError(f"is not consistent: its history lacks the list of {min(LISTS - names)}")
    length, validated = columns["loss"].size, columns["validation_loss"].size
    if not length or any(c.shape not in ((0,), (length,)) or c.dtype != np.float64 for c in columns.values()):
        raise ModelFileError("is not consistent: the lists of its history do not fit each other")
    if checkpoint["best_epoch"] is not None and not 1 <= checkpoint["best_epoch"] <= validated:
        raise ModelFileError("is not consistent: its best epoch is none of its epochs")
    return {
        **{name: columns[name].tolist() for name in sorted(LISTS)},
        "metrics": {name: column.tolist() for name, column in _within("metrics.", columns).items()},
        "best_epoch": checkpoint["best_epoch"],
    }


def _within(prefix: str, tensors: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(prefix): tensors[name] for name in sorted(tensors) if name.startswith(prefix)}
