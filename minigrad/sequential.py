"""Sequential: a chain of layers that owns θ, the one vector of all their parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.configured.hints import MODEL, answering
from minigrad.data.examples import InBlocks, as_numbers
from minigrad.display import html_table, layer_table, text_table
from minigrad.layer import Layer, run_backward, run_forward, run_predict
from minigrad.losses import Loss
from minigrad.model import Model, Opened, Program, chain_of, claim, put
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, pack, states_of
from minigrad.training.fit import fit
from minigrad.training.loop import epochs
from minigrad.training.rates import learning_rates

if TYPE_CHECKING:
    from minigrad.training.health import Health

ROWS_AT_ONCE = 1024
SOME = 1 << 12
"""So many steps or pixels stand for a number of them that is not known yet."""


@answering(MODEL)
class Sequential(Model):
    """y = f_n(… f_2(f_1(x)))      dx = f_1'(… f_n'(dy))

    The chain rule is the layers' backwards in reverse order. The model owns two contiguous vectors, `theta` with all
    parameters and `dtheta` with all gradients; the layers' arrays are views of them, so an optimizer step or a gradient
    check is one operation on one array.

    `dtype` is float32 or float64; x is cast to it where it comes in (integers too, unless the first layers look them up
    in a table). `input_shape`, the shape of one row, lets the whole chain be checked at once; without it, the check
    starts at the first layer that knows its own, and is completed by the first x. `seed` draws the parameters of every
    layer without a seed of its own anew, each from a stream of its own.

    A Sequential does not branch: that is a layer of its own. It may stand in another one: its theta is then a slice,
    and its layers run as if they stood there themselves.

    Raises TypeError for what is no list of layers; ValueError for none, for another `dtype`, where two neighbours or
    `input_shape` do not fit, and where a layer already stands in a model.
    """

    _lasting = (*Model._lasting, "_row", "_keeps_integers", "_of_steps")

    def __init__(
        self,
        layers: Iterable[Layer],
        dtype: npt.DTypeLike = np.float32,
        input_shape: tuple[int, ...] | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(layers, Iterable):
            raise TypeError(f"a Sequential takes a list of layers: Sequential([{layers!r}, …])")
        layers = tuple(layers)
        if not layers:
            raise ValueError("a Sequential needs at least one layer")
        for position, layer in enumerate(layers, 1):
            if not isinstance(layer, Layer):
                hint = f"; write {layer.__name__}(…)" if isinstance(layer, type) else ""
                raise TypeError(f"layer {position} of {len(layers)} is not a layer but {layer!r}{hint}")
        if np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(f"dtype={dtype!r}: a model computes in float32 or in float64")
        vars(self)["layers"] = layers
        self.seed = seed
        self._row: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        self._keeps_integers = False
        if isinstance(input_shape, int):
            raise TypeError(f"input_shape={input_shape}: the shape of a row is a tuple, here ({input_shape},)")
        self._of_steps = False
        self._given_shape = None if input_shape is None else tuple(input_shape)
        self._shapes(self._given_shape)
        claim(self, layers)
        self._pack(np.dtype(dtype))
        if seed is not None:
            _draw(layers, np.random.SeedSequence(seed))

    def _pack(self, dtype: np.dtype[Any]) -> None:
        vars(self).update(theta=None, dtheta=None)
        pack([self], dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("theta", "dtheta", "layers") and value is not vars(self).get(name):
            way = "make a new Sequential" if name == "layers" else f"write into it with model.{name}[...] = …"
            raise AttributeError(f"a model's {name} can't be re-bound; {way}")
        super().__setattr__(name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        claim(self, self.layers)
        self._pack(state["theta"].dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters, in which the model computes."""
        return self.theta.dtype

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one row of x, as given or as the first layer says; None where neither settles it."""
        return self._given_shape or (None if self._of_steps else self.layers[0].input_shape)

    @property
    def row_axes(self) -> int:
        """As many as the layers need, where the first takes rows with any number of axes before its features."""
        return max(layer.row_axes for layer in self.layers) if self._of_steps else self.layers[0].row_axes

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row of x as far as it is known: where `input_shape` does not settle it, of the latest x."""
        return self.input_shape or (self._row[0] if self._row else None)

    def config(self) -> dict[str, Any]:
        """layers, dtype (its name), input_shape, seed. The layers are the model's own: copy them for a second model."""
        return {
            "layers": list(self.layers),
            "dtype": self.dtype.name,
            "input_shape": self._given_shape,
            "seed": self.seed,
        }

    def forward(self, x: Any) -> Array:
        """x (B, …) -> y. Every layer keeps what its backward needs.

        Raises ValueError for rows that the layers do not take.
        """
        return run_forward(self._flat(), self.admit(x))

    def backward(self, dy: Any) -> Any:
        """dy, of y's shape -> dx; fills dtheta. It belongs to the latest forward."""
        if not hasattr(dy, "dtype") or dy.dtype != self.dtype:
            dy = np.asarray(dy, self.dtype)
        return run_backward(self._flat(), dy)

    def predict(self, x: Any, out: Any = None) -> Any:
        """x (B, …) -> y in inference, block by block, so that memory does not grow with B; y is a fresh array.

        `out`, an array of y's shape such as a memory-mapped one, is filled and returned in its place. x may be `Blocks`
        too, or an array that is stored in chunks (zarr, Dask): then they are read one after the other.

        It equals `forward` where no layer behaves otherwise in training (up to rounding, since BLAS rounds differently
        for other numbers of rows).

        Raises ValueError for rows that the layers do not take, and for an `out` that can't take the predictions.
        """
        pieces: Iterator[Any] | None = None
        if isinstance(x, InBlocks) or hasattr(x, "chunks"):
            from minigrad.data.blocks import pieces_of

            pieces, rows = pieces_of(x)
        else:
            x = self._as_array(x)
            rows = len(x)
            if rows <= ROWS_AT_ONCE and out is None:
                return self._predict(self.admit(x))
            pieces = iter([x])
        blocks = (
            self._predict(self.admit(piece[i : i + ROWS_AT_ONCE]))
            for piece in pieces
            for i in range(0, len(piece), ROWS_AT_ONCE)
        )
        return np.concatenate(list(blocks)) if out is None else _filled(out, rows, blocks)

    def _predict(self, x: Array) -> Array:
        if not self._keeps("forward", "backward"):
            return super().predict(x).copy()
        return self.tools.predict(self, x)

    def predict_classes(self, x: Any) -> Array:
        """The most probable class of each row, (B,), in the labels that the model was trained on; (B, T) of steps.

        A model that was not trained on labels answers with the output's number, from 0. A single output stands for the
        second of two classes from 0.5 on (on logits: from 0 on).
        """
        return self.labels_of(self.predict(x))

    def labels_of(self, y: Array) -> Array:
        """The most probable class of each row of outputs (B, …, K), (B, …). Raises ValueError for outputs (B,)."""
        if y.ndim < 2:
            raise ValueError(f"classes need one row of outputs for each row of x, but the outputs are {y.shape}")
        codes = (y[..., 0] >= self.boundary).astype(np.intp) if y.shape[-1] == 1 else y.argmax(axis=-1)
        return codes if self.classes is None else self.classes[codes]

    epochs = epochs
    """Train epoch after epoch, without end: `for epoch in model.epochs(x, t, loss=…, optimizer=…)`; `training.loop`
    has the arguments."""
    fit = fit
    """Train for some epochs, with hold-out, early stopping and checkpoints: `model.fit(x, t, loss=…, optimizer=…,
    epochs=20)`; `training.fit` has the arguments."""
    learning_rates = learning_rates
    """The loss while the rate rises, to find a rate by: `training.rates` has the arguments."""

    def health(self, x: Any, t: Any, loss: Loss, *, optimizer: Optimizer | None = None, seed: int = 0) -> Health:
        """Look into the model on the rows x and their targets t (as in `fit`); with the optimizer, also at its rate.

        It says what is saturated, dead, frozen, vanishing or unscaled, whether the rate is too small or too large, by
        ten steps with it and with others, and whether x has anything to do with t. Raises TypeError for what is no loss
        or no optimizer, ValueError for x and t that do not fit.
        """
        from minigrad.training.health import health  # `import minigrad` is to be quick: few models are looked into

        return health(self, x, t, loss, optimizer=optimizer, seed=seed)

    def program(
        self, loss: Loss, optimizer: Optimizer, *, batch_size: int = 32, l2: float = 0.0, l1: float = 0.0
    ) -> Program:
        """The training step that `fit` would run for such batches, as a program to read; see minigrad.programs."""
        return self.tools.program(self, loss, optimizer, batch_size=batch_size, l2=l2, l1=l1)

    def lay_open(
        self,
        x: Any,
        t: Any,
        loss: Loss,
        optimizer: Optimizer,
        *,
        l2: float = 0.0,
        inputs: list[str] | None = None,
        outputs: list[str] | None = None,
    ) -> Opened:
        """The step that training would make next with these rows, to look at; see minigrad.pages.

        It shows itself in a notebook; `.save("step.html")` writes a page, `.save("step.xlsx")` a workbook of live
        formulas. `inputs` and `outputs` name the columns of x and of t. Raises ValueError that names the layer, loss or
        optimizer which can't be shown.
        """
        return self.tools.lay_open(self, x, t, loss, optimizer, l2=l2, inputs=inputs, outputs=outputs)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as one safetensors file that `minigrad.load` reads; see minigrad.saving.models."""
        self.tools.save(self, path)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of y. Raises ValueError naming the layer that such rows do not fit."""
        shape = self._shapes(tuple(input_shape))[-1]
        assert shape is not None
        return shape

    def _shapes(self, shape: tuple[int, ...] | None) -> list[tuple[int, ...] | None]:
        """The shape of one row before the first layer and after each; None as long as none is known.

        A layer that takes (I,) takes (T, I) as well: where it is the first to know a shape, and a later one looks along
        steps, only the width is known.
        """
        shapes, guessed = [shape], shape is None
        for position, layer in enumerate(self.layers, 1):
            given = layer.input_shape if shape is None else shape
            try:
                if guessed and given is not None and len(given) < layer.row_axes:
                    self._of_steps = True
                    layer.output_shape((*[SOME] * (layer.row_axes - 1), given[-1]))
                    given, shapes = None, [None] * position
                shape = None if given is None else layer.output_shape(given)
            except Exception as error:
                before = "" if position == 1 else f" from layer {position - 1}, {self.layers[position - 2]!r}"
                fits = layer.input_shape in (None, given)
                takes = "" if fits else f" takes rows of shape {layer.input_shape} but"
                hint = "; make a table of x: x[None] if it is one row, x[:, None] if it is one column"
                raise ValueError(
                    f"layer {position} of {len(self.layers)}, {layer!r},{takes} is given rows of shape "
                    f"{given}{before}" + ("" if takes else f": {error}") + (hint if shapes[0] == () else "")
                ) from error
            shapes.append(shape)
        return shapes

    def _as_array(self, x: Any) -> Any:
        array = x if hasattr(x, "dtype") and hasattr(x, "shape") and hasattr(x, "strides") else np.asarray(x)
        if array.ndim == 0:
            raise ValueError(f"x is {x!r:.40}; a model takes rows, x of shape (B, …)")
        # A table with columns of several kinds, such as numbers and bools, comes as objects; numbers may come as text.
        return as_numbers("x", x, self.dtype) if array.dtype.kind in "OSU" else array

    def admit(self, x: Any) -> Any:
        """x in the model's dtype. Raises ValueError for rows of a shape that the layers do not take."""
        x = self._as_array(x)
        if self._row != (x.shape[1:], x.dtype):
            if x.dtype == self.dtype and self._row is not None and self._row[0] == x.shape[1:]:
                return x  # such rows have been met, and cast to this dtype
            self._meet(x)
        return x if x.dtype == self.dtype or self._keeps_integers else x.astype(self.dtype)

    def _meet(self, x: Any) -> None:
        """Check rows of a shape or a dtype that the latest x did not have, and remember them."""
        if x.dtype.kind not in "fiub" and x.dtype.kind != self.dtype.kind:
            raise ValueError(f"x holds {x.dtype}, not real numbers")
        row = x.shape[1:]
        if self._given_shape is not None and row != self._given_shape:
            raise ValueError(f"x has rows of shape {row}; the model was made for rows of shape {self._given_shape}")
        self._shapes(row)
        self._keeps_integers = x.dtype.kind in "iu" and self._looks_up(row, x.dtype)
        self._row = (row, x.dtype)

    def _looks_up(self, row: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
        """Whether the layers need integers, to look them up in a table as Embedding does: floats are an error there."""
        for zeros, needed in ((np.zeros((1, *row), self.dtype), False), (np.zeros((1, *row), dtype), True)):
            try:
                run_predict(self.layers, zeros)
            except Exception:
                continue
            return needed
        return False

    def summary(self) -> str:
        """A table of the layers: the shape of one row of their output, their parameters, and their share of compute.

        Compute is counted in multiplications by a weight, without what activations take: each weight (parameter that
        decays, of two axes or more) is used once at every position, that is at every place of all but the last axis of
        the output's row. So it is exact for Dense and for convolutions with channels last.
        """
        return text_table(*self._table(), align="><<>>")

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table as `summary`."""
        return html_table(*self._table())

    def _table(self) -> tuple[list[str], list[list[str]], str]:
        return layer_table(self.layers, self._shapes(self.row_shape), self.theta)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, position: int) -> Layer:
        return self.layers[position]

    def __repr__(self) -> str:
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype.name!r}"
        return f"Sequential([{', '.join(map(repr, self.layers))}]{dtype})"

    def chain(self) -> tuple[Layer, ...]:
        """The layers of this model, those of inner Sequentials in their place."""
        return self._flat() if self._keeps("forward", "backward") else (self,)

    def _flat(self) -> tuple[Layer, ...]:
        """The layers one after the other. An inner Sequential that predicts in a way of its own stays one of them."""
        own = (isinstance(layer, Sequential) and not layer._keeps("predict") for layer in self.layers)
        return tuple(
            inner
            for layer, whole in zip(self.layers, own, strict=True)
            for inner in ((layer,) if whole else chain_of(layer))
        )

    def _keeps(self, *verbs: str) -> bool:
        """Whether these methods are Sequential's, in the class and in the instance."""
        return all(getattr(getattr(self, verb), "__func__", None) is getattr(Sequential, verb) for verb in verbs)


def _filled(out: Any, rows: int, blocks: Iterable[Array]) -> Any:
    """`out` with the blocks of y written into it, one after the other."""
    start = 0
    for y in blocks:
        if out.shape != (rows, *y.shape[1:]):
            raise ValueError(f"out has the shape {out.shape}; the predictions have {(rows, *y.shape[1:])}")
        if not np.can_cast(y.dtype, out.dtype, "same_kind"):
            raise ValueError(f"out holds {out.dtype}, which can't take predictions of {y.dtype}")
        out[start : start + len(y)] = y
        start += len(y)
    return out


def _draw(layers: Iterable[Layer], seeds: np.random.SeedSequence) -> None:
    """Draw anew what each layer without a seed of its own drew when it was made: make it again and take its arrays."""
    for layer in layers:
        stream = seeds.spawn(1)[0]
        if layer._fixed:
            continue
        if layer.layers:
            if getattr(layer, "seed", None) is None:
                _draw(layer.layers, stream)
        elif layer.config().get("seed", 0) is None:
            drawn = type(layer)(**layer.config() | {"seed": int(stream.generate_state(1, np.uint64)[0])})
            for name in layer.params | states_of(layer):
                put(layer, name, vars(drawn)[name])
