"""Files that an earlier version saved load, predict the same, and their trainings go on to the same numbers."""

import json
import shutil

import numpy as np
import pytest

from minigrad import load
from tests.saving import kept

EXPECTED = json.loads((kept.FILES / "expected.json").read_text(encoding="utf-8"))


def assert_as_it_was(name, found, dtype="float64"):
    """Up to the rounding of another machine's BLAS, which a few epochs do not amplify beyond this."""
    for what, expected in EXPECTED[name].items():
        if np.asarray(expected).dtype.kind == "f":
            np.testing.assert_allclose(found[what], expected, *TOLERANCES[dtype], err_msg=f"{name}: {what}")
        else:
            assert list(found[what]) == expected, f"{name}: {what}"


TOLERANCES = {"float32": (1e-4, 1e-5), "float64": (1e-9, 1e-11)}  # relative, absolute


@pytest.mark.parametrize("name", kept.NETWORKS)
def test_a_network_that_an_earlier_version_saved_predicts_and_trains_on_as_it_did(name):
    model = load(kept.FILES / f"{name}.safetensors")
    assert repr(model) == repr(kept.NETWORKS[name][0]())
    assert_as_it_was(name, kept.answers(model, name), model.dtype.name)


def test_a_training_that_an_earlier_version_began_goes_on_from_its_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    shutil.copy(kept.FILES / "checkpoint.safetensors", path)
    model, history = kept.from_checkpoint(path, 5)
    assert len(history) == 5
    assert_as_it_was("checkpoint", {**vars(history), "theta": model.theta})


def test_a_model_of_a_table_that_an_earlier_version_trained_tells_the_same():
    assert_as_it_was("table", kept.table_answers(), "float32")
