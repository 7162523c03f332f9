"""The format of a model file: tensors and one JSON text in a safetensors file, with a checksum over every byte.

The tensors have the names and the layout that PyTorch's users expect: a Dense at position 0 gives `0.weight` (O, I) and
`0.bias` (O,). All else stands in the header's metadata, under "minigrad":

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
header by hand, the digest, the tensors. What they say of a model is not looked at here.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import safetensors.numpy

from minigrad.data.messages import no_such_file
from minigrad.parameter import Array
from minigrad.saving import ModelFileError
from minigrad.version import __version__

FORMAT = 1
NO_DIGEST = "0" * 64
NUMBERS = 1 << 20  # how many a description may ask for beyond what fills the file
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BOOL": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1,
}  # fmt: skip
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


def encode(description: dict[str, Any], tensors: dict[str, Array]) -> bytes:
    """The bytes of a file; `description` has the fields from "model" on. The arrays must be in C's order."""
    metadata = {"format": FORMAT, "sha256": NO_DIGEST, "minigrad": __version__, **description}
    written = bytearray(safetensors.numpy.save(tensors, {"minigrad": as_json(metadata)}))
    start = written.index(NO_DIGEST.encode())
    written[start : start + len(NO_DIGEST)] = hashlib.sha256(written).hexdigest().encode()
    return bytes(written)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `decode` makes of a file. Raises FileNotFoundError where there is none."""
    return decode(content(path))


def content(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file. Raises FileNotFoundError where there is none."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(no_such_file(path))
    if path.is_dir():
        raise ModelFileError("is a folder; give the name of a model file")
    if not path.is_file():
        raise ModelFileError("is a device or a pipe; give the name of a model file")
    return path.read_bytes()


def tensors_in(data: bytes) -> dict[str, Array]:
    """The tensors of any program's safetensors file; raises ModelFileError as `decode` does."""
    header, start = _header(data)
    header.pop("__metadata__", None)
    for name, spec in header.items():
        if isinstance(spec, dict) and spec.get("dtype") not in BYTES:
            raise ModelFileError(f"holds {short(name)} of {short(spec.get('dtype'))}; write it as float32")
    _check_extent(header, len(data) - start)
    with making("tensors"):
        return safetensors.numpy.load(data)


def decode(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The metadata and the tensors of a file's bytes, after all checks that need no layer.

    Raises ModelFileError for bytes that are cut off, changed, or another program's; it is left to `naming` to say of
    which file.
    """
    header, start = _header(data)
    texts = header.pop("__metadata__", None)
    if not isinstance(texts, dict) or not isinstance(texts.get("minigrad"), str):
        raise ModelFileError(
            "is a safetensors file of another program: it holds tensors but no model of minigrad; "
            "if they are a network's weights, give that network: load(path, into=Sequential([…]))"
        )
    metadata = _object(texts["minigrad"])
    if metadata.get("format") != FORMAT:
        raise ModelFileError(
            f"is in format {short(metadata.get('format'))}, written by minigrad {short(metadata.get('minigrad'))}; "
            f"minigrad {__version__} reads format {FORMAT}"
        )
    _check_extent(header, len(data) - start)
    _check_digest(data, metadata.get("sha256"))
    _check_fields("the model", metadata, FIELDS)
    if metadata["checkpoint"] is not None:
        _check_fields("the checkpoint", metadata["checkpoint"], CHECKPOINT_FIELDS)
    with making("tensors"):
        return metadata, safetensors.numpy.load(data)


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
        raise ModelFileError(f"is damaged: its header can't be read ({short(error)})") from error
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
                raise ModelFileError(f"is damaged: its header has no proper entry for the tensor {short(name)}")
    reached = 0
    for begin, end, length, name in sorted(places):
        if begin != reached or end != begin + length:
            raise ModelFileError(f"is damaged: the tensor {short(name)} has not the bytes that its shape takes")
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


def as_json(value: Any) -> str:
    """The JSON text of a value. Raises ValueError for a number that is not finite, TypeError for what has no JSON."""
    return json.dumps(value, allow_nan=False)


def short(value: Any) -> str:
    """A value, or why it is wrong, in one line that is not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= 300 else text[:300] + "…"


# Reading


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path} {error}") from error.__cause__


@contextmanager
def making(what: str) -> Iterator[None]:
    """Say which part of the file it was that something could not be made of."""
    try:
        yield
    except ModelFileError:
        raise
    except Exception as error:  # a constructor may raise anything about arguments that it never expected
        raise ModelFileError(f"holds {what} that can't be used: {short(error) or type(error).__name__}") from error
