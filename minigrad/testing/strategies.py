"""Property-based checks: Hypothesis draws layers, shapes and inputs, and shrinks a failure to the smallest layer.

    test_my_layer = layer_test(lambda draw: MyLayer(draw(sizes()), draw(sizes())))

is a whole test for pytest: thirty layers, each at an input of its own, saturated, tied, tiny, huge or zero.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from hypothesis import Phase, assume, given, note, settings, strategies as st

from minigrad.layer import REGISTRY, Layer
from minigrad.layers.activations import Tanh
from minigrad.layers.attention import MultiHeadAttention, PositionalEncoding
from minigrad.layers.bidirectional import Bidirectional
from minigrad.layers.combine import Average, Concatenate, Residual
from minigrad.layers.convolution import Conv1D, Conv2D
from minigrad.layers.dense import Dense
from minigrad.layers.embedding import Embedding
from minigrad.layers.normalization import GroupNorm, LayerNorm, RMSNorm
from minigrad.layers.pooling import AvgPool2D, MaxPool2D
from minigrad.layers.recurrent import GRU, LSTM, SimpleRNN
from minigrad.layers.shape import Columns, Reshape
from minigrad.layers.standardize import Standardize
from minigrad.layers.transposed import ConvTranspose2D
from minigrad.model import Model
from minigrad.parameter import Array, states_of
from minigrad.sequential import Sequential
from minigrad.testing.bench.first_input import find_input, usual
from minigrad.testing.bench.subject import Subject
from minigrad.testing.contract import check

Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]

EXAMPLES = 30
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)  # not to explain: that traces every line
EXTREMES = [0.0, 1.0, -1.0, 1e-12, -1e-12, 40.0, -40.0, 1e3, -1e3]


def sizes(largest: int = 4) -> st.SearchStrategy[int]:
    """A number of features, units or channels, from 1 up."""
    return st.integers(1, largest)


@st.composite
def batches(draw: st.DrawFn, layer: Layer) -> Array:
    """Rows that `layer` takes: ordinary numbers among saturated, tied, tiny, huge and zero ones."""
    with np.errstate(all="ignore"):
        like = find_input(Subject(layer), np.random.default_rng(0))
    # A layer with state may compare rows; of two normalized ones little but rounding is left.
    shape = (draw(st.integers(3 if states_of(layer) else 1, 4)), *like.shape[1:])
    size = int(np.prod(shape))
    if like.dtype.kind != "f":
        entries: st.SearchStrategy[Any] = st.integers(0, int(getattr(layer, "vocabulary", 2)) - 1)
    else:
        entries = st.one_of(st.floats(-4, 4, width=32), st.sampled_from(EXTREMES))
    if size > 60:
        values = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.resize(like, size))
    else:
        values = np.array(draw(st.lists(entries, min_size=size, max_size=size)))
    return values.astype(like.dtype).reshape(shape)


def layer_test(
    make: Callable[[Draw], Layer], *, x: Callable[[Draw, Layer], Any] | None = None, max_examples: int | None = None
) -> Callable[[], None]:
    """A test, for pytest to collect, that every layer which `make(draw)` makes keeps its contract.

    `x(draw, layer)` makes the input, where the layer does not take what `batches` draws; a layer's `domain` is used
    without it. `max_examples=300` looks longer.

    Raises TypeError for a layer, or a class of them, in the place of what makes layers.
    """
    if isinstance(make, Layer | type):
        name = (make if isinstance(make, type) else type(make)).__name__
        raise TypeError(f"layer_test takes what makes layers, not {make!r}; write layer_test(lambda draw: {name}(…))")

    @settings(deadline=None, max_examples=max_examples or EXAMPLES, report_multiple_bugs=False, phases=PHASES)
    @given(st.data())
    def test(data: st.DataObject) -> None:
        layer = make(data.draw)
        rows = np.asarray(x(data.draw, layer)) if x is not None else data.draw(_inputs(layer), label="x")
        note(f"check_layer({layer!r}, x)")
        assume(_taken(layer, rows))
        check(layer, rows, data.draw(st.integers(0, 99), label="seed"), only_here=True)

    return test


def _inputs(layer: Layer) -> st.SearchStrategy[Any]:
    """What a layer says that it takes, or `batches`."""
    domain = getattr(layer, "domain", None)
    if domain is None:
        return batches(layer)
    return domain if isinstance(domain, st.SearchStrategy) else st.just(np.asarray(domain))


def _taken(layer: Layer, x: Array) -> bool:
    """Whether x is of a usual size and y finite; a layer with state, such as BatchNorm, may refuse single rows."""
    subject = Subject(layer)
    if not usual(x):
        return False
    with np.errstate(all="ignore"):
        try:
            return bool(np.isfinite(subject.forward(x.copy())).all())
        except ValueError:
            if subject.stateful:
                return False
            raise


# How a constructor's arguments are drawn, by their names: what a new layer of the package needs to be tested at once.
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "in_features": sizes(),
    "out_features": sizes(),
    "features": sizes(),
    "hidden_features": sizes(3),
    "vocabulary": sizes(),
    "in_channels": sizes(2),
    "out_channels": sizes(2),
    "kernel_size": st.integers(1, 3),
    "size": st.integers(1, 2),
    "bias": st.booleans(),
    "return_sequences": st.booleans(),
    "causal": st.booleans(),
    "affine": st.booleans(),
    "embedding": st.builds(Embedding, sizes(), sizes(), seed=st.integers(0, 99)),
    "layer": st.builds(Dense, sizes(), sizes(), seed=st.integers(0, 99)),
    "seed": st.integers(0, 99),
    "rate": st.sampled_from([0.0, 0.25, 0.5]),
    "slope": st.sampled_from([0.0, 0.01, 0.5]),
    "alpha": st.sampled_from([0.5, 1.0, 2.0]),
    "approximate": st.sampled_from(["none", "tanh"]),
}


@st.composite
def _convolutions(draw: st.DrawFn, cls: type[Conv1D | Conv2D | ConvTranspose2D]) -> Layer:
    """Groups divide the channels; each other argument is one number for all axes, or one for each."""

    def each(numbers: st.SearchStrategy[Any]) -> Any:
        return draw(st.one_of(numbers, st.tuples(*[numbers] * cls.sliding)))

    groups = draw(sizes(2))
    channels = groups * draw(sizes(2)), groups * draw(sizes(2))
    options = {
        "stride": each(sizes(2)),
        "padding": draw(st.sampled_from(["valid", "same"])) if draw(st.booleans()) else each(st.integers(0, 2)),
        "dilation": each(sizes(2)),
        "groups": groups,
        "bias": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }
    if cls is ConvTranspose2D:
        stride = options["stride"] if isinstance(options["stride"], int) else min(options["stride"])
        options["output_padding"] = 0 if options["padding"] == "same" else each(st.integers(0, stride - 1))
    else:
        options["padding_mode"] = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    return cls(*channels, each(sizes(3)), **options)


@st.composite
def _pools(draw: st.DrawFn, cls: type[MaxPool2D | AvgPool2D]) -> Layer:
    """Windows are larger than the padding."""
    size = draw(st.one_of(sizes(3), st.tuples(sizes(3), sizes(2))))
    stride = draw(st.one_of(st.none(), sizes(3), st.tuples(sizes(3), sizes(3))))
    least = size if isinstance(size, int) else min(size)
    padding = draw(st.one_of(st.integers(0, least - 1), st.sampled_from(["valid", "same"])))
    if cls is MaxPool2D:
        return MaxPool2D(size, stride, padding, dilation=draw(sizes(2)), ceil_mode=draw(st.booleans()))
    return AvgPool2D(size, stride, padding, ceil_mode=draw(st.booleans()), count_include_pad=draw(st.booleans()))


# The layers whose arguments depend on each other.
WHOLE: dict[type[Layer], st.SearchStrategy[Layer]] = {
    Conv1D: _convolutions(Conv1D),
    Conv2D: _convolutions(Conv2D),
    ConvTranspose2D: _convolutions(ConvTranspose2D),
    MaxPool2D: _pools(MaxPool2D),
    AvgPool2D: _pools(AvgPool2D),
    Columns: st.builds(lambda start, width: Columns(start, start + width), st.integers(0, 1), sizes(2)),
    Reshape: st.builds(Reshape, st.sampled_from([(3, 1), (2, 2), (1, 5)])),
    MultiHeadAttention: st.builds(
        lambda width, heads, causal, padding, seed: MultiHeadAttention(
            width * heads, heads, causal=causal, padding=padding, seed=seed
        ),
        sizes(2),
        sizes(2),
        st.booleans(),
        st.sampled_from([None, 7.5]),
        st.integers(0, 99),
    ),
    Bidirectional: st.builds(
        lambda cls, width, units, sequences, seed: Bidirectional(
            cls(width, units, return_sequences=sequences, seed=seed)
        ),
        st.sampled_from([SimpleRNN, LSTM, GRU]),
        sizes(3),
        sizes(2),
        st.booleans(),
        st.integers(0, 99),
    ),
    PositionalEncoding: st.one_of(
        st.builds(PositionalEncoding, sizes()),
        st.builds(
            lambda width, seed: PositionalEncoding(width, learned=Embedding(9, width, seed=seed)),
            sizes(),
            st.integers(0, 99),
        ),
    ),
    Residual: st.builds(
        lambda width, seed: Residual(Dense(width, 3, seed=seed), Tanh(), Dense(3, width, seed=seed + 1)),
        sizes(),
        st.integers(0, 99),
    ),
    Concatenate: st.builds(
        lambda width, wider, seed: Concatenate(Dense(width, wider, seed=seed), Columns(0, 1)),
        sizes(),
        sizes(),
        st.integers(0, 99),
    ),
    Average: st.builds(
        lambda width, out, seed: Average(Dense(width, out, seed=seed), Dense(width, out, seed=seed + 1)),
        sizes(),
        sizes(),
        st.integers(0, 99),
    ),
    # A row of two normalized numbers has next to no derivative: what is left is rounding.
    LayerNorm: st.builds(LayerNorm, st.integers(3, 5), affine=st.booleans()),
    RMSNorm: st.builds(RMSNorm, st.integers(3, 5), affine=st.booleans()),
    GroupNorm: st.builds(
        lambda groups, width, affine: GroupNorm(groups, groups * width, affine=affine),
        sizes(2),
        st.integers(3, 4),
        st.booleans(),
    ),
    Standardize: st.builds(
        lambda width, seed: Standardize(width).fit(np.random.default_rng(seed).normal(2, 3, (9, width))),
        sizes(),
        st.integers(0, 99),
    ),
}


def layer_classes() -> list[type[Layer]]:
    """Every layer of the package that can be made, in the order of their names; models are made by `networks`."""
    return [
        cls
        for name, cls in sorted(REGISTRY.items())
        if cls.__module__.startswith("minigrad.")
        and not issubclass(cls, Model)
        and not cls.__name__.startswith("_")
        and cls.forward is not Layer.forward
    ]


def layers_of(cls: type[Layer]) -> st.SearchStrategy[Layer]:
    """Layers of one class of the package.

    Raises LookupError for an argument that nothing says how to draw: then enter it in ARGUMENTS.
    """
    if cls in WHOLE:
        return WHOLE[cls]
    drawn = {}
    for name, argument in inspect.signature(cls).parameters.items():
        if name in ARGUMENTS:
            drawn[name] = ARGUMENTS[name]
        elif argument.default is argument.empty and argument.kind is not argument.VAR_KEYWORD:
            raise LookupError(f"how is {name} of {cls.__name__} to be drawn? say so in minigrad.testing.strategies")
    return st.builds(cls, **drawn)


def layers() -> st.SearchStrategy[Layer]:
    """Every layer of the package."""
    return st.one_of(*map(layers_of, layer_classes()))


@st.composite
def networks(draw: st.DrawFn, layers: int = 3) -> Model:
    """Random valid Sequentials: Dense layers, each followed by a layer that takes any width, or by none."""
    plain = [cls for cls in layer_classes() if not _required(cls) and _takes_any_width(cls())]
    between = [cls for cls in plain if Subject(cls()).theta.size == 0]
    width = draw(sizes())
    chain: list[Layer] = []
    for _ in range(draw(st.integers(1, layers))):
        wider = draw(sizes())
        chain.append(Dense(width, wider, seed=draw(ARGUMENTS["seed"])))
        width = wider
        if draw(st.booleans()):
            chain.append(draw(layers_of(draw(st.sampled_from(between)))))
    return Sequential(chain)


def _takes_any_width(layer: Layer) -> bool:
    """Whether rows of one number do: not for images, nor where a row is halved."""
    try:
        return bool(layer.output_shape((1,)))
    except ValueError:
        return False


def _required(cls: type[Layer]) -> list[str]:
    return [name for name, p in inspect.signature(cls).parameters.items() if p.default is p.empty]
