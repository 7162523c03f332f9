"""Convolutions, pools and what turns, lays out or reads image and steps in another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.interop.order import last_of_first
from minigrad.layers.convolution import Conv1D, Conv2D
from minigrad.layers.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from minigrad.layers.shape import Flatten, Reshape
from minigrad.layers.transposed import ConvTranspose2D
from minigrad.layers.windows import MODES, Windowed
from minigrad.onnx.reading.place import Place, Reader, Unknown, named, options


def _short(value: Sequence[int]) -> Any:
    return value[0] if len(set(value)) == 1 else tuple(value)


def _placed(
    p: Place, node: Any, found: dict[str, Any], sizes: Sequence[int], make: Callable[..., Windowed], filler: float
) -> Windowed:
    """The layer whose padding is that of the node and of a Pad before it."""
    axes, auto, pads = len(sizes), found.get("auto_pad", "NOTSET"), list(found.get("pads", [0] * 2 * len(sizes)))
    steps = {"stride": _short(found.get("strides", [1])), "dilation": _short(found.get("dilations", [1]))}
    settled: dict[str, Any] = {name: value for name, value in steps.items() if value != 1}
    if p.pad is not None:
        (mode, around, value), p.pad = p.pad, None
        if len(around) != 2 * axes or (mode == "zeros" and value != filler) or (mode != "zeros" and any(pads)):
            raise Unknown(f"{named(node)} follows a Pad that is none of a layer's here")
        pads = [a + b for a, b in zip(pads, around, strict=True)]
        settled |= {} if mode == "zeros" else {"padding_mode": mode}
    before, after = pads[:axes], pads[axes:]
    tries: list[dict[str, Any]] = [{"padding": "same"}]
    if auto in ("NOTSET", "VALID"):
        tries = [{"padding": _short(before)} if any(before) else {}]
        if before != after:
            tries = [{"padding": "same"}, *({"padding": _short(before), "ceil_mode": True} for _ in range(axes == 2))]
    for each in tries:
        try:
            layer = make(**settled, **each)
            transposed = isinstance(layer, ConvTranspose2D)
            places = None if p.shape is None else (layer.output_shape(p.shape) if transposed else p.shape)[:-1]
            if (
                (before == after and auto == "NOTSET")
                or auto in ("VALID", "SAME_UPPER")
                or (places is not None and layer.margins(places) == list(zip(before, after, strict=True)))
            ):
                return layer
        except (TypeError, ValueError) as error:
            if len(tries) == 1:
                raise Unknown(f"{named(node)}: {error}") from error
    raise Unknown(f"{named(node)} is padded in a way that no layer here is ({auto}, {pads})")


def _convolution(p: Place, node: Any) -> None:
    W, b = p.constant(node, 1), p.optional(node, 2)
    found, sizes, transposed = options(node, group=1), W.shape[2:], node.op_type == "ConvTranspose"
    if len(sizes) not in ((2,) if transposed else (1, 2)) or found.get("output_shape"):
        raise Unknown(f"{named(node)} has weights of shape {W.shape}, which no convolution here has")
    p.settle(node, True)
    more: dict[str, Any] = {} if b is not None else {"bias": False}
    more |= {} if found["group"] == 1 else {"groups": found["group"]}
    one, other = W.shape[0], W.shape[1] * found["group"]

    def make(**settled: Any) -> Windowed:
        if transposed:
            added = found.get("output_padding", [0])
            settled |= {"output_padding": _short(added)} if any(added) and settled.get("padding") != "same" else {}
            return ConvTranspose2D(one, other, _short(sizes), **settled, **more)
        return (Conv1D if len(sizes) == 1 else Conv2D)(other, one, _short(sizes), **settled, **more)

    layer: Any = _placed(p, node, found, sizes, make, 0.0)
    layer.W = np.moveaxis(W, (0, 1), (-1, -2))
    if b is not None:
        layer.b = b
    p.put(node, layer)


def _pool(p: Place, node: Any) -> None:
    found, largest = options(node, ceil_mode=0, count_include_pad=0), node.op_type == "MaxPool"
    sizes = found["kernel_shape"]
    if len(sizes) != 2 or not p.alone(node):
        raise Unknown(f"{named(node)} pools {len(sizes)} axes; here it is two, and the largest number alone comes out")
    p.settle(node, True)
    added = p.pad is not None
    ceil = {"ceil_mode": True} if found["ceil_mode"] else {}
    stride = _short(found.pop("strides", [1, 1]))

    def make(**settled: Any) -> Windowed:
        settled = ceil | settled | ({} if stride == _short(sizes) else {"stride": stride})
        if largest:
            return MaxPool2D(_short(sizes), **settled)
        bare = not found["count_include_pad"] and not added and (settled.get("padding") or ceil)
        return AvgPool2D(_short(sizes), **settled, **({"count_include_pad": False} if bare else {}))

    p.put(node, _placed(p, node, found, sizes, make, -np.inf if largest else 0.0))


def _pad(p: Place, node: Any) -> None:
    mode = options(node, mode="constant")["mode"]
    pads, value = p.constant(node, 1).tolist(), p.optional(node, 2)
    axes = len(pads) // 2
    places = slice(1, -1) if p.first is False else slice(2, None)  # ours has them in the middle
    before, after = pads[:axes], pads[axes:]
    if p.first is None:
        places = slice(2, None) if not any(before[1:2] + after[1:2]) else slice(1, -1)
    if sum(before[places] + after[places]) != sum(pads) or p.pad or len(node.input) > 3:
        raise Unknown(f"{named(node)} pads more than the places of images")
    ours = next((ours for ours, numpys in MODES.items() if numpys == mode), "")
    if not ours:
        raise Unknown(f"{named(node)} pads by {mode!r}, which no layer here does")
    p.pad = ours, before[places] + after[places], 0.0 if value is None else float(np.ravel(value)[0])


def _global_pool(p: Place, node: Any) -> None:
    p.settle(node, True)
    p.put(node, GlobalAvgPool2D())
    p.pooled, p.first = True, False


def _mean(p: Place, node: Any) -> None:
    found, given = options(node, keepdims=1), p.optional(node, 1)
    axes = sorted(axis % 4 for axis in (found.get("axes", []) if given is None else given.tolist()))
    if p.axes != 3 or axes not in ([2, 3], [1, 2]):
        raise Unknown(f"{named(node)} takes a mean that is no layer here; GlobalAvgPool2D is that of all pixels")
    p.settle(node, axes == [2, 3])
    p.put(node, GlobalAvgPool2D())
    p.pooled, p.first = bool(found["keepdims"]), False


# ---------------------------------------------------------------------------------------------------- shapes
def _lay_out(p: Place, node: Any) -> None:
    if p.pooled or p.axes == 1:
        p.pooled = False
        return
    if p.first is None:
        p.settle(node, False)
    if p.first and p.shape is None:
        raise Unknown(f"{named(node)} lays images out, of a size that the file does not tell")
    if p.first and p.shape is not None:
        order = last_of_first(p.shape)
        p.order = None if np.array_equal(order, np.arange(len(order))) else order
    p.put(node, Flatten())
    p.first = False


def _flatten(p: Place, node: Any) -> None:
    if options(node, axis=1)["axis"] != 1:
        raise Unknown(f"{named(node)} joins rows (axis={options(node)['axis']}), which no layer here does")
    _lay_out(p, node)


def _reshape(p: Place, node: Any) -> None:
    shape = p.constant(node, 1).tolist()
    if len(shape) == 2 and not p.directions:
        return _lay_out(p, node)
    if p.directions:  # (T, B, 1, H) as (T, B, H)
        p.directions = False
        return None
    p.settle(node, False)
    if p.order is not None or min(shape[1:]) < 1:
        raise Unknown(f"{named(node)} reshapes to {shape}, which no layer here does")
    return p.put(node, Reshape(shape[1:]))


def _squeeze(p: Place, node: Any) -> None:
    if not p.pooled and not p.directions:
        raise Unknown(f"{named(node)} leaves an axis out, which no layer here does")
    p.pooled = p.directions = False


def _transpose(p: Place, node: Any) -> None:
    turn, axes = options(node).get("perm"), p.axes
    if turn == [1, 0, 2] and axes == 2:
        if p.first is None:
            p.settle(node, False)
        p.steps_first = not p.steps_first
        return
    if turn == [0, 2, 1, 3] and p.directions:
        return
    to_first, to_last = [0, axes, *range(1, axes)], [0, *range(2, axes + 1), 1]
    if axes < 2 or turn not in (to_first, to_last) or p.steps_first:
        raise Unknown(f"{named(node)} turns axes by {turn}; here channels go from first to last, or back")
    if to_first != to_last:
        p.settle(node, turn == to_last)
    p.turns += 1
    p.first = None if p.first is None else not p.first


WINDOWS: dict[str, Reader] = {
    "AveragePool": _pool,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "Flatten": _flatten,
    "GlobalAveragePool": _global_pool,
    "MaxPool": _pool,
    "Pad": _pad,
    "ReduceMean": _mean,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
}
