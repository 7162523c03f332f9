"""The file format: damage of every kind and foreign files are noticed, and the error names the file."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st

from minigrad import (
    Dense,
    ModelFileError,
    Sequential,
    load,
)
from minigrad.saving.format import decode
from tests.saving.material import small
from tests.systems import posix


def test_checksum_notices_every_flipped_bit(path):
    Sequential([Dense(1, 1)], seed=0).save(path)
    written = path.read_bytes()
    load(path)
    damaged = path.with_name("damaged")
    for bit in range(8 * len(written)):
        data = bytearray(written)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelFileError):
            decode(bytes(data))
    damaged.write_bytes(bytes(data))
    with pytest.raises(ModelFileError, match="damaged is damaged: its checksum is another"):
        load(damaged)


@given(data=st.data())
@settings(max_examples=2 * settings.default.max_examples)
def test_load_notices_changed_bytes(path, data):
    small().save(path)
    written = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(written) - 1))
    piece = data.draw(st.binary(min_size=1, max_size=64))
    if written[start : start + len(piece)] != piece:
        written[start : start + len(piece)] = piece
        path.write_bytes(written)
        with pytest.raises(ModelFileError, match=path.name) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_decode_notices_every_truncation(path):
    small().save(path)
    written = path.read_bytes()
    for length in range(len(written)):
        with pytest.raises(ModelFileError):
            decode(written[:length])
    with pytest.raises(ModelFileError, match="is cut off: 3 bytes are missing"):
        decode(written[:-3])
    with pytest.raises(ModelFileError, match="is cut off: it has 100 bytes, and its header alone has"):
        decode(written[:100])
    with pytest.raises(ModelFileError, match="1 bytes at its end belong to no tensor"):
        decode(written + b"\0")


def archive(path):
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


FOREIGN = {
    "is an empty file": lambda path: path.write_bytes(b""),
    "is a zip archive": archive,
    "is a pickle": lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR."),
    "is an HDF5 file": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)),
    "is not a model file of minigrad": lambda path: path.write_bytes(b"a,b,c\n1,2,3\n" * 9),
    "is a safetensors file of another program": lambda path: safetensors.numpy.save_file({"a": np.zeros(3)}, path),
    "is a folder": lambda path: path.mkdir(),
    "is a device or a pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("message", [pytest.param(m, marks=posix) if "pipe" in m else m for m in FOREIGN])
def test_load_says_what_a_foreign_file_is(tmp_path, message):
    FOREIGN[message](tmp_path / "other")
    with pytest.raises(ModelFileError, match=rf"other {message}[^\n]*$"):
        load(tmp_path / "other")


def test_load_of_a_missing_file_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing: there is no such file"):
        load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":1}', "a name stands twice"),
        ('{"a":NaN}', "NaN is no JSON"),
        ('{"a":' * 100_000, "its header can't be read"),
        ('{"a":' + "1" * 10_000 + "}", "its header can't be read"),
        ('{"a":"\xff"}', "its header can't be read"),
    ],
)
def test_decode_refuses_a_header_that_is_not_json(header, message):
    text = header.encode("latin-1")
    with pytest.raises(ModelFileError, match=message):
        decode(len(text).to_bytes(8, "little") + text + b"\0")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**63, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F32", "shape": [1] * 65 + [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": ["0", 8]},
        {"dtype": "F4", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "path": "../x"},
        {"dtype": "F32", "shape": [2]},
        [],
    ],
)
def test_decode_refuses_a_tensor_that_is_not_as_its_header_says(entry):
    header = {"__metadata__": {"minigrad": '{"format": 1}'}, "a": entry}
    text = json.dumps(header).encode()
    with pytest.raises(ModelFileError, match=r"is damaged: (the tensor a|its header has no proper entry)"):
        decode(len(text).to_bytes(8, "little") + text + bytes(8))
