"""PyTorch's weights: a safetensors file of a state_dict, whose tensors are found places in a network of minigrad.

A state_dict has names and numbers, and no layers. So the network is given, and each of its layers takes what PyTorch
calls a module: by its place, by a name that is given, or by the shapes of its tensors.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.interop.order import OrderError, in_our_order, orders
from minigrad.layer import Layer
from minigrad.layers.dense import Dense
from minigrad.layers.normalization import BatchNorm
from minigrad.model import Model, put
from minigrad.parameter import Array, states_of
from minigrad.saving import ModelFileError
from minigrad.saving.building import check_numbers
from minigrad.saving.format import content, naming, tensors_in
from minigrad.saving.slots import TORCH, slots

WHOLE = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
"""Names of tensors that have more than the last dot's part, or share a module with those that do."""
RECURRENT = re.compile(r"(?:(.*)\.)?((?:weight|bias)_[ih]h)_l(\d+)(_reverse)?$")
UNUSED = "num_batches_tracked"

Module = dict[str, Array]
"""What PyTorch holds for one layer, by the last part of its names."""


def fill(model: Model, path: str | os.PathLike[str], names: Mapping[str, Any] | None = None) -> None:
    """Write the tensors of the file into the model's parameters and running statistics, all of them or none.

    A layer takes the tensors of its own place ("0.weight" for layer 0, as a torch.nn.Sequential has them), or else
    those that fit it in number and shape, in the order of their names ("conv1", "conv2"). `names` says for a module's
    name which layer it is, by its place, where that leaves a choice ({"encoder": 0, "decoder": 2}), and None for one
    to leave out. Raises ModelFileError for tensors that find no place, and for places that find no tensors.
    """
    with naming(path):
        data = content(path)
        if data[:2] in (b"PK", b"\x80\x02") and data[8:9] != b"{":
            raise ModelFileError(
                "is in PyTorch's own format, which can run any code when it is loaded; write it anew, there: "
                "safetensors.torch.save_file(model.state_dict(), path)"
            )
        places, modules = _places(model), _modules(tensors_in(data))
        try:
            order = orders(model.chain(), model.row_shape)
        except OrderError as error:
            raise ModelFileError(f"can't be put into this network: {error}") from error
        values = []
        for place, module in _pairs(places, modules, names or {}).items():
            for layer, name, tensor, axes in places[place]:
                held, found = vars(layer)[name], modules[module][tensor]
                check_numbers(layer, name, f"{module}.{tensor}", found, held)
                value = found if axes is None else found.transpose(np.argsort(axes))
                values.append((layer, name, in_our_order(name, value, order.get(id(layer)), isinstance(layer, Dense))))
    for layer, name, value in values:
        put(layer, name, value)


Slot = tuple[Layer, str, str, tuple[int, ...] | None]


def _places(model: Model) -> dict[str, list[Slot]]:
    """The layers that a state_dict has tensors for, by their places ("0", "2.1"): their slots, as tensors are named."""
    places: dict[str, list[Slot]] = defaultdict(list)
    for layer, name, tensor, axes in slots(model):
        known = any((cls, own) in TORCH for cls in type(layer).__mro__ for own in layer.params | states_of(layer))
        known = known or isinstance(layer, BatchNorm)
        if (known or name in layer.params) and not isinstance(vars(layer)[name], np.random.Generator):
            whole = next((w for w in WHOLE if tensor.endswith(w)), tensor.rpartition(".")[2])
            places[tensor.removesuffix(whole).rstrip(".")].append((layer, name, whole, axes))
    return places


def _modules(tensors: Mapping[str, Array]) -> dict[str, Module]:
    """The tensors by the modules that hold them; each layer and direction of a recurrent module counts as one."""
    modules: dict[str, Module] = defaultdict(dict)
    for name, array in tensors.items():
        if found := RECURRENT.fullmatch(name):
            home, kind, number, reverse = found.groups(default="")
            modules[f"{home}.l{number}{reverse}".lstrip(".")][f"{kind}_l0"] = array
            continue
        last = next((w for w in WHOLE if name.endswith(w)), name.rpartition(".")[2])
        if last != UNUSED:
            modules[name.removesuffix(last).rstrip(".")][last] = array
    in_order = ((name, modules[name]) for name in sorted(modules, key=_natural))  # a file has its tensors in any
    return {name: _one_bias(module) if "weight_hh_l0" in module else module for name, module in in_order}


def _one_bias(module: Module) -> Module:
    """A recurrent module with the one bias that our layers have: the sum of PyTorch's two, but for a GRU's new gate."""
    W, U = module["weight_ih_l0"], module["weight_hh_l0"]
    zeros = np.zeros(len(U), U.dtype)
    b, c = module.get("bias_ih_l0", zeros), module.get("bias_hh_l0", zeros)
    if len(U) == 3 * U.shape[-1]:  # a GRU
        c, last = c.copy(), c[-U.shape[-1] :]
        c[-U.shape[-1] :] = 0
        return {"weight_ih_l0": W, "weight_hh_l0": U, "bias": np.concatenate([b + c, last])}
    return {"weight_ih_l0": W, "weight_hh_l0": U, "bias": b + c}


def _pairs(places: Mapping[str, list[Slot]], modules: Mapping[str, Module], names: Mapping[str, Any]) -> dict[str, str]:
    """Which module each place takes."""
    for name in names:
        if name not in modules:
            raise ModelFileError(f"has no module {name!r}; it has {_listed(modules)}")
    pairs = {str(place): name for name, place in names.items() if place is not None}
    for place, name in pairs.items():
        if place not in places:
            raise ModelFileError(f"can't give {name!r} to layer {place}, which takes no weights; {_listed(places)} do")
    left = {name: module for name, module in modules.items() if name not in names}
    open_places = [place for place in places if place not in pairs]
    if set(open_places) <= set(left):
        pairs |= {place: place for place in open_places}
    else:
        pairs |= _by_shape({place: _wanted(places[place]) for place in open_places}, left)
    for place, name in pairs.items():
        if _shapes(modules[name]) != _wanted(places[place]):
            raise ModelFileError(
                f"holds {name} with {_told(_shapes(modules[name]))}, where {places[place][0][0]!r} takes "
                f"{_told(_wanted(places[place]))}"
            )
    rest = [name for name in left if name not in pairs.values()]
    if rest:
        raise ModelFileError(
            f"holds {rest[0] or 'tensors'} with {_told(_shapes(modules[rest[0]]))}, for which no layer has a place; "
            f"names={{{rest[0]!r}: None}} leaves it out"
        )
    return pairs


def _by_shape(wanted: Mapping[str, Any], modules: Mapping[str, Module]) -> dict[str, str]:
    """The places with modules of their shapes: alike ones in the order of their names, where only a number differs."""
    pairs: dict[str, str] = {}
    for place, shapes in wanted.items():
        alike = [other for other in wanted if wanted[other] == shapes]
        fitting = sorted((name for name in modules if _shapes(modules[name]) == shapes), key=_natural)
        if len(fitting) < len(alike):
            raise ModelFileError(
                f"has no tensors for layer {place}, which takes {_told(shapes)}; it has "
                + "; ".join(f"{name or 'a module'} with {_told(_shapes(modules[name]))}" for name in modules)
            )
        if len(fitting) > 1 and (len(fitting) > len(alike) or len({_stem(name) for name in fitting}) > 1):
            raise ModelFileError(
                f"has {_listed(fitting)} alike, of which any may be layer {_listed(alike)}: say which is which, "
                f"names={{{fitting[0]!r}: {int(alike[0]) if alike[0].isdigit() else repr(alike[0])}, …}}"
            )
        pairs[place] = fitting[alike.index(place)]
    return pairs


def _wanted(slots_of: list[Slot]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for layer, name, tensor, axes in slots_of:
        shape = vars(layer)[name].shape
        shapes[tensor] = shape if axes is None else tuple(shape[axis] for axis in axes)
    return dict(sorted(shapes.items()))


def _shapes(module: Module) -> dict[str, tuple[int, ...]]:
    return {name: module[name].shape for name in sorted(module)}


def _natural(name: str) -> list[Any]:
    """The parts of a name, numbers by their size; they stand in every second place."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _stem(name: str) -> str:
    return re.sub(r"\d+", "#", name).removesuffix("_reverse")


def _told(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names))
