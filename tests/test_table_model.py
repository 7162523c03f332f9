"""A table's model as one object: frames in, the user's own words and units out."""

import numpy as np
import pytest

from minigrad import Dense, ModelFileError, Sequential, TableModel, load
from minigrad.command.main import main
from tests.tables import plants, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_command):
    """The models that the command makes for a label and for a number."""
    folder = tmp_path_factory.mktemp("models")
    data = write(folder / "plants.csv", plants())
    for target in ("species", "size"):
        given = ["train", data, "--target", target, "--hidden", "8", "--epochs", "9", "--out", str(folder / target)]
        assert main(given) == 0
    return folder


def test_a_folder_and_its_file_are_the_same_model_which_takes_the_frame_as_it_is(folder, tmp_path):
    frame, other = plants(9), plants(9)[["wild", "color", "size", "height"]]
    for target, known in (("species", ["daisy", "rose"]), ("size", None)):
        model = load(folder / target)
        model.save(tmp_path / "copy.safetensors")
        for again in (load(folder / target / "model.safetensors"), load(tmp_path / "copy.safetensors")):
            assert isinstance(again, TableModel)
            np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
        if known is None:
            found = model.network.predict(model.encode(frame))[:, 0] * model.target.scale + model.target.mean
            np.testing.assert_allclose(model.predict(frame), found, rtol=1e-6)
            with pytest.raises(ValueError, match="the model tells numbers"):
                model.predict_probabilities(frame)
        else:
            p = model.predict_probabilities(other)
            np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
            assert model.predict(other).tolist() == model.predict(frame).tolist() == model.classes[p.argmax(1)].tolist()
            assert "color: text, one column for each of 3 values" in model.summary()
            with pytest.raises(ValueError, match="there is no column 'color'"):
                model.predict(other.drop(columns="color"))


def test_load_gives_a_network_of_no_table_as_it_is_and_refuses_a_preparation_that_does_not_fit(folder, tmp_path):
    path = tmp_path / "m.safetensors"
    network = Sequential([Dense(3, 1)])
    network.save(path)
    assert isinstance(load(path), Sequential)
    with pytest.raises(ModelFileError, match="is a folder; give the name of a model file"):
        load(tmp_path)
    network.preparation = load(folder / "size").facts
    network.save(path)
    with pytest.raises(ModelFileError, match=r"m\.safetensors: the preparation in the model's file is not consistent"):
        load(path)
