"""Every layer and every loss of the package keeps its contract: whatever is added is tested without being listed."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import minigrad
from minigrad.losses import Loss
from minigrad.testing import check_layer, check_loss, layer_test, layers, networks
from minigrad.testing.strategies import layer_classes, layers_of


def subclasses(cls):
    found = [cls] if cls.__module__.startswith("minigrad.") else []
    return found + [inner for sub in cls.__subclasses__() for inner in subclasses(sub)]


LAYERS = layer_classes()
# check_loss takes p and t of one shape; tests/test_losses.py has the one whose targets are narrower.
LOSSES = [cls for cls in subclasses(Loss) if cls not in (Loss, minigrad.GaussianNLL)]


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)
def test_layer_at_every_size(cls):
    layer_test(lambda draw: draw(layers_of(cls)), max_examples=settings.default.max_examples // 12)()


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)
def test_layer_in_every_situation(cls):
    check_layer(*EXAMPLES[cls]() if cls in EXAMPLES else [cls(*_widths(cls))])


def _widths(cls):
    return (4 - n for n, a in enumerate(inspect.signature(cls).parameters.values()) if a.default is a.empty)


ROWS = np.random.default_rng(0).normal(1, 2, (6, 4))
EXAMPLES = {  # those that take something else than widths, with rows where they have to be given
    minigrad.MultiHeadAttention: lambda: [minigrad.MultiHeadAttention(4, 2)],
    minigrad.Bidirectional: lambda: [minigrad.Bidirectional(minigrad.LSTM(3, 2, return_sequences=True))],
    minigrad.GroupNorm: lambda: [minigrad.GroupNorm(2, 6)],
    minigrad.InstanceNorm: lambda: [minigrad.InstanceNorm(3)],
    minigrad.Frozen: lambda: [minigrad.Frozen(minigrad.Dense(4, 3))],
    minigrad.Tied: lambda: [minigrad.Tied(minigrad.Embedding(5, 3))],
    minigrad.Columns: lambda: [minigrad.Columns(1, 3)],
    minigrad.Average: lambda: [minigrad.Average(minigrad.Dense(4, 3), minigrad.Dense(4, 3, seed=1))],
    minigrad.Concatenate: lambda: [minigrad.Concatenate(minigrad.Dense(4, 3), minigrad.Columns(0, 2))],
    minigrad.Dropout: lambda: [minigrad.Dropout(0.4)],
    minigrad.Reshape: lambda: [minigrad.Reshape((2, 2)), ROWS],
    minigrad.Residual: lambda: [minigrad.Residual(minigrad.Dense(4, 3), minigrad.Tanh(), minigrad.Dense(3, 4))],
    minigrad.Standardize: lambda: [minigrad.Standardize(4).fit(ROWS)],
}


PAIRS = np.random.default_rng(1).uniform(0.2, 2, (5, 2))
GIVEN = {  # losses that are made of losses
    minigrad.SumOfLosses: lambda: [
        minigrad.SumOfLosses([(minigrad.MeanSquaredError(), 1), (minigrad.Huber(), 1, 0.5)]),
        PAIRS,
        PAIRS[::-1] + 1,
    ],
}


@pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("seed", range(settings.default.max_examples // 25))
def test_loss_of_the_package(cls, seed):
    check_loss(*GIVEN[cls]() if cls in GIVEN else [cls()], seed=seed)


test_networks = layer_test(lambda draw: draw(networks()), max_examples=settings.default.max_examples // 2)


def defined(base, modules):
    """The public subclasses of `base` that these modules define."""
    found = [value for name in modules for value in vars(importlib.import_module(name)).values()]
    classes = {value for value in found if isinstance(value, type) and issubclass(value, base)}
    return {cls for cls in classes if cls.__module__ in modules and not cls.__name__.startswith("_")}


def test_every_layer_that_a_file_defines_is_exported_and_checked():
    files = [module.name for module in pkgutil.walk_packages(minigrad.layers.__path__, "minigrad.layers.")]
    layers = {cls for cls in defined(minigrad.Layer, files) if cls.forward is not minigrad.Layer.forward}
    assert {cls.__name__ for cls in layers} == {cls.__name__ for cls in LAYERS}
    assert {cls.__name__ for cls in layers} <= set(minigrad.__all__)


def test_every_loss_that_a_file_defines_is_exported_and_checked():
    files = [module.name for module in pkgutil.walk_packages(minigrad.losses.__path__, "minigrad.losses.")]
    losses = defined(Loss, files)
    assert losses == {Loss, minigrad.GaussianNLL, *LOSSES}
    assert {cls.__name__ for cls in losses} <= set(minigrad.__all__)


@given(st.data())
def test_layers_and_networks_draw_layers(data):
    assert isinstance(data.draw(layers()), minigrad.Layer)
    model = data.draw(networks())
    width = model.layers[0].in_features
    assert model.output_shape((width,)) == model.predict(np.zeros((1, width))).shape[1:]


def test_a_layer_that_nothing_says_how_to_draw_is_an_error():
    class Odd(minigrad.Layer):
        def __init__(self, knots):
            self.knots = knots

    with pytest.raises(LookupError, match="knots of Odd"):
        layers_of(Odd)


def test_a_check_that_holds_loads_nothing_that_names_bugs():
    code = (
        "import sys; from minigrad.testing import check_layer; from minigrad import Dense; check_layer(Dense(3, 2)); "
    )
    code += "print([name for name in sys.modules if 'testing.naming' in name])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"[]"
