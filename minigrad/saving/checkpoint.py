"""A training as a file: what it needs to go on bit for bit, and what tells that it is the same training."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from minigrad.atomic import replacing, target_of
from minigrad.configured import Configured
from minigrad.data.examples import NUMBERS_AT_ONCE, Examples
from minigrad.model import Model, Snapshot
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.saving import ModelFileError
from minigrad.saving.format import as_json, making, naming, read, short
from minigrad.saving.models import (
    build,
    checked_values,
    describe,
    describe_classes,
    encode_model,
    fill,
    loadable,
    tensors_of,
)

SECONDS_BETWEEN = 1.0  # writing a checkpoint takes as long as many epochs of a small network
LARGEST_SHARE = 1 / 20  # of the time of a training that writing may take
DIGEST = "digest of "  # how the settings are called that are digests of Examples
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
        self.settings: dict[str, str] = {name: in_words(value) for name, value in settings.items()}
        for name, value in settings.items():
            if isinstance(value, Examples):
                self.settings[DIGEST + name] = _digest(value)
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
        held = metadata["checkpoint"]["settings"]
        settings = {
            name: words for name, words in self.settings.items() if name in held or not name.startswith(DIGEST)
        }  # the first files have no digests of all rows
        described = {"settings": settings, "model": describe(self.model), "classes": describe_classes(self.model)}
        now = json.loads(as_json(described))
        then = {"settings": held, "model": metadata["model"], "classes": metadata["classes"]}
        if then != now:
            raise ValueError(
                f"{self.path} is the checkpoint of another training: {_difference('', then, now)}; "
                f"give this one another name, or delete the file to begin anew"
            )


def in_words(value: Any, around: tuple[Any, ...] = ()) -> str:
    """A setting in words that are the same in every process.

    A function is told by its name, what it has closed over, and its default arguments; an object that can be called, or
    has a method that is, by its class and its attributes. What the body of a function does is not looked at. `around`
    are the values that hold this one.
    """
    if any(value is other for other in around):
        return "…"
    around = (*around, value)

    def brings(name: str, values: Iterable[Any], named: Mapping[str, Any]) -> str:
        words = [in_words(each, around) for each in values]
        words += [f"{key}={in_words(each, around)}" for key, each in named.items()]
        return f"{name} with {', '.join(words)}" if words else name

    match value:
        case Configured():
            arguments = (f"{name}={in_words(argument, around)}" for name, argument in value.config().items())
            return f"{type(value).__qualname__}({', '.join(arguments)})"
        case Examples():
            return repr(_fingerprint(value))
        case np.ndarray() if value.dtype.kind in "fiubcmMSU":
            digest = hashlib.sha256(value.tobytes()).hexdigest()[:16]
            return f"array of {value.shape} {value.dtype}, {digest}"
        case partial():
            return brings(in_words(value.func, around), value.args, value.keywords)
        case MethodType():
            return brings(in_words(value.__func__, around), [value.__self__], {})
        case FunctionType():
            closed = [cell.cell_contents for cell in value.__closure__ or ()]
            parameters = inspect.signature(value, follow_wrapped=False).parameters.values()
            defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
            return brings(_name(value), closed, defaults)
    if hasattr(value, "__qualname__"):
        return _name(value)
    text = repr(value.item() if isinstance(value, np.generic) else value)
    without_addresses = re.sub(r" at 0x[0-9A-Fa-f]+", "", text)
    if callable(value) or (text != without_addresses and hasattr(value, "__dict__")):
        return brings(_name(type(value)), [], getattr(value, "__dict__", {}))
    return without_addresses


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _fingerprint(examples: Examples) -> str:
    """Shapes and a digest of some of the rows, targets and weights, as the first files have them."""
    rows = examples.order(0, 0, shuffle=False)
    rows = rows[:: max(1, len(rows) // 256)]
    x, t, w = examples.x[rows], examples.targets(rows), examples.weights(rows)
    digest = hashlib.sha256()
    for array in (x, t) if w is None else (x, t, w):
        digest.update(array.tobytes())
    return f"{len(examples)} rows of {x.shape[1:]} {x.dtype} and {t.shape[1:]} {t.dtype}, {digest.hexdigest()[:16]}"


def _digest(examples: Examples) -> str:
    """A digest of all rows, targets and weights; they are gone through block by block, and no more than one is copied.

    It takes as long as reading and SHA-256 do, about a second for each GB, once before the first epoch.
    """
    digest, order = hashlib.sha256(), examples.order(0, 0, shuffle=False)
    step = max(1, NUMBERS_AT_ONCE // max(1, examples.x[:1].size))
    for part in (examples.x.__getitem__, examples.targets, examples.weights):
        for start in range(0, len(order), step):
            block = part(order[start : start + step])
            if block is not None:
                digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()[:32]


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
