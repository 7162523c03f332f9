"""A model as a file, and back: `describing` says what it is, and `building` makes it again."""

from __future__ import annotations

import os
from typing import Any

from minigrad.atomic import replacing, target_of
from minigrad.model import Model, Snapshot
from minigrad.parameter import Array
from minigrad.saving import ModelFileError
from minigrad.saving.building import build
from minigrad.saving.describing import describe, describe_classes, describe_preparation, tensors_of
from minigrad.saving.format import decode, encode, naming, read


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model to `path`, as one safetensors file from which `minigrad.load` makes it again.

    Parameters, state, layers, dtype, input_shape, classes, boundary and preparation are kept; the gradients and what a
    pending backward needs are not. The new file replaces an old one when it is complete: a crash or a full disk leaves
    the old one. It is loaded once before that, so that a model that could not be loaded is refused while it is there.

    Raises ValueError that names the layer for what a file can't hold, such as an initializer of one's own, and OSError
    for a path that can't be written to.
    """
    target_of(path)
    written = loadable(model, path)
    with replacing(path) as file:
        file.write(written)


def annotate(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model's preparation, as it is now, into the file that holds it; a training to go on with stays there.

    The new file replaces the old one when it is complete.
    """
    with naming(path):
        metadata, tensors = read(path)
    kept = {name: metadata[name] for name in ("model", "generators", "classes", "boundary", "checkpoint")}
    written = encode(kept | {"preparation": describe_preparation(model)}, tensors)
    with replacing(path) as file:
        file.write(written)


def load(path: str | os.PathLike[str]) -> Model:
    """The model in a file that `save` or a Checkpoint wrote; `minigrad.load` says what is raised."""
    with naming(path):
        return build(*read(path))


def loadable(model: Model, path: str | os.PathLike[str]) -> bytes:
    """The bytes of the model's file, after loading them once. Raises ValueError for a model that can't be loaded."""
    written = encode_model(model, Snapshot([model]), {}, None)
    try:
        build(*decode(written))
    except ModelFileError as error:
        raise ValueError(f"{path} can't be written, since this model could not be loaded: it {error}") from error
    return written


def encode_model(
    model: Model, snapshot: Snapshot, tensors: dict[str, Array], checkpoint: dict[str, Any] | None
) -> bytes:
    """The bytes of a file with what the snapshot holds; `tensors` stand beside the model's own."""
    arrays, generators = tensors_of(model, snapshot)
    description = {
        "model": describe(model),
        "generators": generators,
        "classes": describe_classes(model),
        "boundary": float(model.boundary),
        "preparation": describe_preparation(model),
        "checkpoint": checkpoint,
    }
    return encode(description, arrays | tensors)
