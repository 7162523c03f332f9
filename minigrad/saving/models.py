"""Model files: a whole model, or a training under way, in one safetensors file. Nothing in it is ever run.

The tensors stand under the names and in the layout that PyTorch's users expect: a Dense at position 0 gives `0.weight`
(O, I) and `0.bias` (O,). All else is one JSON text in the header's metadata, under "minigrad":

    format        the version of this format, FORMAT
    sha256        the digest of all bytes of the file, taken with 64 zeros in its own place
    minigrad      the version that wrote the file
    model         {"class": …, "config": {…}}, in which a layer among the arguments is again such a pair
    generators    the states of random generators, {"1.rng": {…}}
    classes       {"dtype": "int64", "labels": [1, 2, …]}, or null
    boundary, preparation   the model's attributes
    checkpoint    where a training stands, in the file of a training; its arrays are tensors named "checkpoint.…"

safetensors runs no code and checks its offsets; it notices no flipped bit and no wrong shape, and writes a transposed
array as if it were not (https://github.com/safetensors/safetensors/issues/825). So a file is read in this order: the
header by hand, the digest, the tensors; then the layers are made, within a budget of what the file can fill; then
every tensor is checked against its place.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import safetensors.numpy

import minigrad
from minigrad import initializers
from minigrad.atomic import replacing, target_of
from minigrad.configured import Configured
from minigrad.layer import Layer
from minigrad.layers.convolution import Conv1D, Conv2D
from minigrad.layers.dense import Dense
from minigrad.layers.embedding import Embedding
from minigrad.layers.normalization import BatchNorm, LayerNorm, RMSNorm
from minigrad.layers.rectifiers import PReLU
from minigrad.model import Model, Snapshot, put
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, walk

if TYPE_CHECKING:
    from minigrad.sequential import Sequential

FORMAT = 1
NO_DIGEST = "0" * 64
NUMBERS, ROW = 1 << 20, 1 << 24  # what a config may ask for beyond the file's size: widths in all, numbers in a row
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BOOL": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1,
}  # fmt: skip
GENERATORS = ("PCG64", "PCG64DXSM")  # their states are plain numbers, which can't point outside of an array

# (class, parameter or state): the name in PyTorch, and PyTorch's axes in terms of ours. What is not listed keeps both.
TORCH: dict[tuple[type[Layer], str], tuple[str, tuple[int, ...] | None]] = {
    (Dense, "W"): ("weight", (1, 0)),
    (Dense, "b"): ("bias", None),
    (Conv1D, "W"): ("weight", (2, 1, 0)),
    (Conv1D, "b"): ("bias", None),
    (Conv2D, "W"): ("weight", (3, 2, 0, 1)),
    (Conv2D, "b"): ("bias", None),
    (BatchNorm, "gamma"): ("weight", None),
    (BatchNorm, "beta"): ("bias", None),
    (LayerNorm, "gamma"): ("weight", None),
    (LayerNorm, "beta"): ("bias", None),
    (RMSNorm, "gamma"): ("weight", None),
    (Embedding, "W"): ("weight", None),
    (PReLU, "a"): ("weight", None),
}


class ModelFileError(ValueError):
    """What is wrong with a model file, in one line that names the file."""


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model to `path`, as one safetensors file from which `minigrad.load` makes it again.

    Parameters, state, layers, dtype, input_shape, classes, boundary and preparation are kept; the gradients and what a
    pending backward needs are not. The new file replaces an old one when it is complete: a crash or a full disk leaves
    the old one. It is loaded once before that, so that a model that could not be loaded is refused while it is there.

    Raises ValueError that names the layer for what a file can't hold, such as an initializer of one's own, and OSError
    for a path that can't be written to.
    """
    target_of(path)
    written = _loadable(model, path)
    with replacing(path) as file:
        file.write(written)


def load(path: str | os.PathLike[str]) -> Sequential:
    """The model that `save` wrote to `path`, or that a training with `checkpoint=path` had made up to then.

    Layers of one's own must have been defined, or their module imported, before. Raises ModelFileError, a ValueError,
    for a file that is damaged, foreign, or not consistent with itself, and FileNotFoundError for one that is not there.
    """
    with _naming(path):
        return cast("Sequential", _model(*_read(path)))


def write_checkpoint(
    path: str | os.PathLike[str],
    model: Model,
    optimizer: Optimizer,
    settings: dict[str, Any],
    history: dict[str, Any],
    best: Snapshot | None,
) -> None:
    """Write where a training stands to `path`, as `save` does.

    `settings` are what must be the same when it goes on; `history` holds the fields of a History. With `best`, that is
    what `load` makes, and the latest values stand beside it.
    """
    latest = Snapshot([model])
    arrays, generators = _contents(model, latest)
    tensors = {} if best is None else {f"checkpoint.latest.{name}": array for name, array in arrays.items()}
    for name, values in _columns(history).items():
        tensors[f"checkpoint.history.{name}"] = np.array(values, np.float64)
    state = optimizer.state()
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            tensors[f"checkpoint.optimizer.{name}"] = np.array(value, order="C")
    checkpoint = {
        "settings": {name: _described(value) for name, value in settings.items()},
        "best_epoch": history["best_epoch"],
        "optimizer": {name: value for name, value in state.items() if not isinstance(value, np.ndarray)},
        "generators": generators,
    }
    written = _written(model, best or latest, tensors, checkpoint)
    with replacing(path) as file:
        file.write(written)


def read_checkpoint(
    path: str | os.PathLike[str], model: Model, optimizer: Optimizer, settings: dict[str, Any]
) -> tuple[dict[str, Any], Snapshot | None] | None:
    """Put model and optimizer where the training in `path` stands, and return (history, best); None without a file.

    Raises ValueError that names the difference when the file belongs to another model or another training, and
    ModelFileError for one that is damaged or no checkpoint; model and optimizer are then as they were.
    """
    if not target_of(path).exists():
        _loadable(model, path)
        return None
    with _naming(path):
        metadata, tensors = _read(path)
        held, checkpoint = _model(metadata, tensors), metadata["checkpoint"]
        if checkpoint is None:
            raise ModelFileError("holds a model, but no training to go on with; give the checkpoint another name")
        history = _history(checkpoint, _within("checkpoint.history.", tensors))
        latest = _within("checkpoint.latest.", tensors)
        values = _values(held, latest, checkpoint["generators"]) if latest else None
    now = {
        "settings": {name: _described(value) for name, value in settings.items()},
        "model": _architecture(model),
        "classes": _classes(model),
    }
    then = {"settings": checkpoint["settings"], "model": metadata["model"], "classes": metadata["classes"]}
    if then != json.loads(_json(now)):
        raise ValueError(
            f"{path} is the checkpoint of another training: {_difference('', then, json.loads(_json(now)))}; "
            f"give this one another name, or delete the file to begin anew"
        )
    state = {**checkpoint["optimizer"], **_within("checkpoint.optimizer.", tensors)}
    with _naming(path), _making(f"a state of {optimizer!r}"):
        trial = copy.deepcopy(optimizer)
        trial.load_state(state)
        trial.prepare(model.theta)
    optimizer.load_state(state)
    _put(model, [value for _, _, value in Snapshot([held]).saved])
    if values is None:
        return history, None
    best = Snapshot([model])
    _put(model, values)
    return history, best


def _put(model: Model, values: Sequence[Any]) -> None:
    for (layer, name, *_), value in zip(_slots(model), values, strict=True):
        put(layer, name, value)


# Writing


def _slots(layer: Layer, prefix: str = "") -> Iterator[tuple[Layer, str, str, tuple[int, ...] | None]]:
    """Every parameter and state in the order of a Snapshot: the layer, the name, the tensor's name, its axes."""
    for name in layer.params | layer.states:
        listed = (TORCH[cls, name] for cls in type(layer).__mro__ if (cls, name) in TORCH)
        torch, axes = next(listed, (name, None))
        yield layer, name, prefix + torch, axes
    for position, inner in enumerate(layer.layers):
        yield from _slots(inner, f"{prefix}{position}.")


def _contents(model: Model, snapshot: Snapshot) -> tuple[dict[str, Array], dict[str, Any]]:
    """What a snapshot of the model holds: the arrays as the file's tensors, and the states of the generators."""
    arrays, generators = {}, {}
    for (layer, name, tensor, axes), (_, _, value) in zip(_slots(model), snapshot.saved, strict=True):
        if isinstance(value, np.random.Generator):
            generators[tensor] = value.bit_generator.state
            if generators[tensor]["bit_generator"] not in GENERATORS:
                raise ValueError(f"{layer!r} can't be saved: its {name} is {value!r}; use np.random.default_rng(…)")
        elif value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
            raise ValueError(f"{layer!r} can't be saved: its {name} is of {value.dtype}, and a file holds numbers")
        else:
            arrays[tensor] = np.array(value if axes is None else value.transpose(axes), order="C")
    return arrays, generators


def _loadable(model: Model, path: str | os.PathLike[str]) -> bytes:
    """The bytes of the model's file; they have been loaded once. Raises ValueError where that fails."""
    written = _written(model, Snapshot([model]), {}, None)
    try:
        _model(*_parsed(written))
    except ModelFileError as error:
        raise ValueError(f"{path} can't be written, since this model could not be loaded: it {error}") from error
    return written


def _written(model: Model, snapshot: Snapshot, tensors: dict[str, Array], checkpoint: dict[str, Any] | None) -> bytes:
    """The bytes of the file."""
    arrays, generators = _contents(model, snapshot)
    metadata = {
        "format": FORMAT,
        "sha256": NO_DIGEST,
        "minigrad": minigrad.__version__,
        "model": _architecture(model),
        "generators": generators,
        "classes": _classes(model),
        "boundary": float(model.boundary),
        "preparation": _preparation(model),
        "checkpoint": checkpoint,
    }
    written = bytearray(safetensors.numpy.save(arrays | tensors, {"minigrad": _json(metadata)}))
    start = written.index(NO_DIGEST.encode())
    written[start : start + len(NO_DIGEST)] = hashlib.sha256(written).hexdigest().encode()
    return bytes(written)


def _architecture(layer: Layer) -> dict[str, Any]:
    """A layer as {"class": …, "config": …}, with the arguments of a constructor's `*layers` as "arguments"."""
    config = {name: _argument(layer, name, value) for name, value in layer.config().items()}
    node: dict[str, Any] = {"class": _class_name(type(layer)), "config": config}
    for name, argument in inspect.signature(type(layer)).parameters.items():
        if argument.kind is argument.VAR_POSITIONAL and "layers" not in config:
            node["arguments"] = _argument(layer, name, getattr(layer, name, layer.layers))
    return node


def _argument(layer: Layer, name: str, value: Any) -> Any:
    if isinstance(value, Layer):
        return _architecture(value)
    if isinstance(value, list | tuple):
        return [_argument(layer, name, item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    for known, function in initializers.BY_NAME.items():
        if value is function:
            return known
    raise ValueError(
        f"{type(layer).__name__} can't be saved: its argument {name} is {value!r}, and a model file holds finite "
        f"numbers, text, layers and the names of minigrad's initializers, but no functions or other objects"
    )


def _class_name(cls: type[Layer]) -> str:
    """A layer's name in a file: Dense for minigrad's own, module:Class for all others."""
    return cls.__qualname__ if cls.__module__.startswith("minigrad.") else f"{cls.__module__}:{cls.__qualname__}"


def _classes(model: Model) -> dict[str, Any] | None:
    if model.classes is None:
        return None
    labels = [label.item() if isinstance(label, np.generic) else label for label in model.classes.tolist()]
    for label in labels:
        if not isinstance(label, bool | int | float | str):
            raise ValueError(f"the model can't be saved: its class {label!r} is no number, text or bool")
    kind = model.classes.dtype.kind
    return {"dtype": {"O": "object", "T": "text"}.get(kind, model.classes.dtype.str), "labels": labels}


def _preparation(model: Model) -> dict[str, Any] | None:
    try:
        same = json.loads(_json(model.preparation)) == model.preparation
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ValueError(f"the model can't be saved: its preparation is no JSON: {model.preparation!r}")
    return model.preparation


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _columns(history: dict[str, Any]) -> dict[str, list[float]]:
    """The lists of a history, by flat names."""
    lists = {name: values for name, values in history.items() if isinstance(values, list)}
    return lists | {f"metrics.{name}": values for name, values in history["metrics"].items()}


def _described(value: Any) -> str:
    """A setting in words that are the same in every process; a function by its name and what it has closed over."""
    if isinstance(value, Configured):
        arguments = (f"{name}={_described(argument)}" for name, argument in value.config().items())
        return f"{type(value).__qualname__}({', '.join(arguments)})"
    if callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)
        closed = [_described(cell.cell_contents) for cell in getattr(value, "__closure__", None) or ()]
        return f"{named.__module__}.{named.__qualname__}" + (f" with {', '.join(closed)}" if closed else "")
    return repr(value.item() if isinstance(value, np.generic) else value)


def _difference(place: str, then: Any, now: Any) -> str:
    """The first difference of two trees of JSON, in words."""
    if isinstance(then, dict) and isinstance(now, dict) and then.keys() == now.keys():
        key = next(key for key in then if then[key] != now[key])
        inner = place if key in ("settings", "config") else f"{place}.{key}".removeprefix(".")
        return _difference(inner, then[key], now[key])
    if isinstance(then, list) and isinstance(now, list):
        for position, (item, other) in enumerate(zip(then, now, strict=False)):
            if item != other:
                return _difference(f"{place}[{position}]", item, other)
        return f"its {place} has {len(then)} items, here it has {len(now)}"
    return f"its {place} is {_short(then)}, here it is {_short(now)}"


def _short(value: Any) -> str:
    """A value, or why it is wrong, in one line that is not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= 300 else text[:300] + "…"


# Reading


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path} {error}") from error.__cause__


@contextmanager
def _making(what: str) -> Iterator[None]:
    """Say which part of the file it was that something could not be made of."""
    try:
        yield
    except ModelFileError:
        raise
    except Exception as error:  # a constructor may raise anything about arguments that it never expected
        raise ModelFileError(f"holds {what} that can't be used: {_short(error) or type(error).__name__}") from error


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.is_dir():
        raise ModelFileError("is a folder; give the name of a model file")
    if not path.is_file():
        raise ModelFileError("is a device or a pipe; give the name of a model file")
    return _parsed(path.read_bytes())


def _parsed(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The metadata and the tensors, after all checks that need no layer."""
    header, start = _header(data)
    texts = header.pop("__metadata__", None)
    if not isinstance(texts, dict) or not isinstance(texts.get("minigrad"), str):
        raise ModelFileError(
            "is a safetensors file of another program: it holds tensors but no model of minigrad; "
            "safetensors.numpy.load_file reads its tensors"
        )
    metadata = _object(texts["minigrad"])
    if metadata.get("format") != FORMAT:
        raise ModelFileError(
            f"is in format {_short(metadata.get('format'))}, written by minigrad {_short(metadata.get('minigrad'))}; "
            f"minigrad {minigrad.__version__} reads format {FORMAT}"
        )
    _check_extent(header, len(data) - start)
    _check_digest(data, metadata.get("sha256"))
    _check_fields("the model", metadata, FIELDS)
    if metadata["checkpoint"] is not None:
        _check_fields("the checkpoint", metadata["checkpoint"], CHECKPOINT_FIELDS)
    with _making("tensors"):
        return metadata, safetensors.numpy.load(data)


OTHERS = {
    b"PK": "is a zip archive (.npz, .xlsx, or PyTorch's own format)",
    b"\x80": "is a pickle, which can run any code when it is loaded",
    b"\x89HDF": "is an HDF5 file",
}
FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "sha256": (str,),
    "minigrad": (str,),
    "model": (dict,),
    "generators": (dict,),
    "classes": (dict, type(None)),
    "boundary": (float,),
    "preparation": (dict, type(None)),
    "checkpoint": (dict, type(None)),
}
CHECKPOINT_FIELDS: dict[str, tuple[type, ...]] = {
    "settings": (dict,),
    "best_epoch": (int, type(None)),
    "optimizer": (dict,),
    "generators": (dict,),
}


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where the tensors' bytes begin."""
    if not data:
        raise ModelFileError("is an empty file of 0 bytes")
    for beginning, what in OTHERS.items():
        if data.startswith(beginning) and data[8:9] != b"{":
            raise ModelFileError(f"{what}, not a model file of minigrad")
    start = 8 + int.from_bytes(data[:8], "little")
    if data[8:9] != b"{" or start > 1 << 27:
        raise ModelFileError("is not a model file of minigrad")
    if start > len(data):
        raise ModelFileError(f"is cut off: it has {len(data)} bytes, and its header alone has {start}")
    return _object(data[8:start]), start


def _object(text: str | bytes) -> dict[str, Any]:
    """The JSON object that a text is, where no name stands twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice")
        return found

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    try:
        found = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"is damaged: its header can't be read ({_short(error)})") from error
    if not isinstance(found, dict):
        raise ModelFileError("is damaged: its header is no JSON object")
    return found


def _check_extent(header: dict[str, Any], size: int) -> None:
    """Raise unless the tensors fill the `size` bytes after the header one after the other, as their shapes say."""
    places = []
    for name, spec in header.items():
        match spec:
            case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)], **rest} if (
                not rest
                and dtype in BYTES
                and len(shape) <= 64
                and all(type(n) is int and 0 <= n <= max(size, NUMBERS) for n in shape)
            ):
                places.append((begin, end, math.prod(shape) * BYTES[dtype], name))
            case _:
                raise ModelFileError(f"is damaged: its header has no proper entry for the tensor {_short(name)}")
    reached = 0
    for begin, end, length, name in sorted(places):
        if begin != reached or end != begin + length:
            raise ModelFileError(f"is damaged: the tensor {_short(name)} has not the bytes that its shape takes")
        reached = end
    if reached > size:
        raise ModelFileError(f"is cut off: {reached - size} bytes are missing at its end")
    if reached < size:
        raise ModelFileError(f"is damaged: {size - reached} bytes at its end belong to no tensor")


def _check_digest(data: bytes, digest: Any) -> None:
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ModelFileError("is damaged: it has no checksum")
    start = data.index(digest.encode())
    found = hashlib.sha256(memoryview(data)[:start])
    found.update(NO_DIGEST.encode())
    found.update(memoryview(data)[start + len(digest) :])
    if found.hexdigest() != digest:
        raise ModelFileError("is damaged: its checksum is another than when it was written; copy or download it again")


def _check_fields(what: str, found: dict[str, Any], fields: dict[str, tuple[type, ...]]) -> None:
    if found.keys() != fields.keys() or any(type(found[name]) not in types for name, types in fields.items()):
        raise ModelFileError(f"is not consistent: {what} is not described as format {FORMAT} does")


def _within(prefix: str, tensors: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(prefix): tensors[name] for name in sorted(tensors) if name.startswith(prefix)}


def _model(metadata: dict[str, Any], tensors: dict[str, Array]) -> Model:
    """The model itself, made by the classes that the registry knows, with the tensors in it."""
    model = _Maker(tensors, metadata["minigrad"]).layer(metadata["model"])
    if not isinstance(model, Model):
        raise ModelFileError(f"holds {model!r} by itself, which is a layer and not a model")
    if metadata["checkpoint"] is not None:
        tensors = {name: array for name, array in tensors.items() if not name.startswith("checkpoint.")}
    _put(model, _values(model, tensors, metadata["generators"]))
    if not math.isfinite(metadata["boundary"]):
        raise ModelFileError("is not consistent: its boundary between two classes is not finite")
    model.boundary, model.preparation = metadata["boundary"], metadata["preparation"]
    if metadata["classes"] is not None:
        with _making("classes"):
            model.classes = _labels(metadata["classes"])
    return model


class _Maker:
    """Makes the layers of a file, and stops when their arguments ask for more numbers than the file can fill.

    Before a constructor runs, its integers are counted, and where it draws no weights by an `init`, the product of the
    two largest of them. An initializer is not run: it asks here for the shape.
    """

    def __init__(self, tensors: dict[str, Array], version: str) -> None:
        self.version = version
        held = sum(array.size for array in tensors.values())
        self.numbers = self.widths = held + NUMBERS
        self.row = held + ROW

    def layer(self, node: dict[str, Any]) -> Layer:
        """The layer that {"class": …, "config": …} describes."""
        name, config = node.get("class"), node.get("config")
        if not node.keys() <= {"class", "config", "arguments"} or type(name) is not str or type(config) is not dict:
            raise ModelFileError(f"is not consistent: {_short(node)} describes no layer")
        cls = self.named(name)
        with _making(f"a {name}"):
            arguments = self.argument("", node.get("arguments", []))
            options = {key: self.argument(key, value) for key, value in config.items()}
            if cls._parameters and "init" not in options:
                sizes = sorted(abs(value) for key, value in options.items() if type(value) is int and key != "seed")
                self.take(math.prod(sizes[-2:]), name)
            init, drawn = options.get("init"), self.drawn
            if init in initializers.BY_NAME:
                options["init"] = drawn
            made = cls(*arguments, **options)
        for inner in walk([made]):
            if vars(inner).get("init") is drawn:
                vars(inner)["init"] = init
        return made

    def named(self, name: str) -> type[Layer]:
        for cls in Layer.registry.values():
            if _class_name(cls) == name:
                return cls
        module, _, own = name.rpartition(":")
        if not module:
            raise ModelFileError(
                f"holds the layer {_short(name)}, which minigrad {minigrad.__version__} does not have; "
                f"the file was written by minigrad {_short(self.version)}"
            )
        way = f"define {own}" if module == "__main__" or "<locals>" in own else f"import {module}, which defines it,"
        raise ModelFileError(f"holds the layer {_short(own)}, which is not known yet: {_short(way)} before loading")

    def argument(self, name: str, value: Any) -> Any:
        """An argument of a constructor: lists become tuples, pairs of class and config become layers."""
        if isinstance(value, dict):
            return self.layer(value)
        if isinstance(value, list):
            items = tuple(self.argument(name, item) for item in value)
            size = 1
            for item in items:
                size *= item if type(item) is int else 1
                if abs(size) > self.row:
                    raise ModelFileError(f"asks for arrays of shape {_short(items)}, for which it is much too small")
            return items
        if type(value) is int and name != "seed":
            self.widths -= abs(value)
            if self.widths < 0:
                raise ModelFileError(f"asks for {_short(name)}={_short(value)}, for which it is much too small")
        return value

    def drawn(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Stand in for an initializer: zeros, which the tensors replace, as long as the file holds so many numbers."""
        self.take(math.prod(shape), f"weights of shape {shape}")
        return np.broadcast_to(0.0, shape)

    def take(self, numbers: int, what: str) -> None:
        self.numbers -= numbers
        if self.numbers < 0:
            raise ModelFileError(f"asks for {_short(what)}, for which it is much too small")


def _values(model: Model, tensors: dict[str, Array], generators: dict[str, Any]) -> list[Any]:
    """The value of each slot of the model, checked against what it is to replace."""
    slots = [(*slot, vars(slot[0])[slot[1]]) for slot in _slots(model)]
    wanted: dict[bool, set[str]] = {True: set(), False: set()}
    for _, _, tensor, _, held in slots:
        wanted[isinstance(held, np.random.Generator)].add(tensor)
    for expected, found in ((wanted[False], tensors), (wanted[True], generators)):
        if expected != found.keys():
            missing, extra = sorted(expected - found.keys()), sorted(found.keys() - expected)
            raise ModelFileError(
                f"lacks {_short(missing[0])}, which its layers need"
                if missing
                else f"holds {_short(extra[0])}, for which none of its layers has a place"
            )
    values: list[Any] = []
    for layer, name, tensor, axes, held in slots:
        if isinstance(held, np.random.Generator):
            values.append(_generator(tensor, held, generators[tensor]))
            continue
        array = tensors[tensor]
        shape = held.shape if axes is None else tuple(held.shape[axis] for axis in axes)
        if array.shape != shape or array.dtype != held.dtype:
            raise ModelFileError(
                f"holds {tensor} of shape {_short(array.shape)} and {array.dtype}, where {_short(repr(layer))} "
                f"takes {shape} and {held.dtype}"
            )
        if name in layer.params and not np.isfinite(array).all():
            raise ModelFileError(f"holds {tensor} with {array[~np.isfinite(array)][0]} among its weights")
        values.append(array if axes is None else array.transpose(np.argsort(axes)))
    return values


def _generator(name: str, held: np.random.Generator, state: Any) -> np.random.Generator:
    kind = type(held.bit_generator).__name__
    if kind not in GENERATORS or not isinstance(state, dict) or state.get("bit_generator") != kind:
        raise ModelFileError(f"holds another kind of random generator for {name} than its layer, which has {kind}")
    with _making(f"a random generator for {name}"):
        made = np.random.Generator(getattr(np.random, kind)(0))
        made.bit_generator.state = state
        if made.bit_generator.state != state:
            raise ValueError("its state is none")
    return made


def _labels(written: dict[str, Any]) -> Array:
    """The classes, of the kind and dtype that they had."""
    match written:
        case {"dtype": str(dtype), "labels": [*labels], **rest} if not rest:
            pass
        case _:
            raise ValueError("they need dtype and labels")
    if any(type(label) not in (bool, int, float, str) for label in labels):
        raise ValueError("a label is a number, text or a bool")
    if dtype == "object":
        classes: Array = np.empty(len(labels), object)
        classes[:] = labels
    elif dtype == "text":
        classes = np.array(labels, np.dtypes.StringDType())
    elif re.fullmatch("[<>|][biufU][0-9]{1,9}", dtype) and len(labels) * np.dtype(dtype).itemsize <= ROW:
        classes = np.array(labels, dtype)
    else:
        raise ValueError(f"no labels are of {_short(dtype)}")
    if list(map(repr, classes.tolist())) != list(map(repr, labels)):
        raise ValueError(f"the labels are not of {dtype}")
    return classes


def _history(checkpoint: dict[str, Any], columns: dict[str, Array]) -> dict[str, Any]:
    """The fields of a History."""
    lists = {name: column.tolist() for name, column in columns.items() if column.dtype == np.float64}
    length, validated = (len(lists.get(name, ())) for name in ("loss", "validation_loss"))
    if not length or lists.keys() != columns.keys() or any(c.shape not in ((0,), (length,)) for c in columns.values()):
        raise ModelFileError("is not consistent: the lists of its history do not fit each other")
    if checkpoint["best_epoch"] is not None and not 1 <= checkpoint["best_epoch"] <= validated:
        raise ModelFileError("is not consistent: its best epoch is none of its epochs")
    metrics = {name: lists.pop(f"metrics.{name}") for name in _within("metrics.", columns)}
    return {**lists, "metrics": metrics, "best_epoch": checkpoint["best_epoch"]}
