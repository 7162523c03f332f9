"""The textbook's optimizers in a few lines each, and the slips that are made in writing them.

They are written for reading, apart from `minigrad.optimizers`, so that one may check the other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.parameter import Array

NEEDED: dict[str, tuple[str, ...]] = {
    "adamw": ("beta1", "beta2", "eps"),
    "adam": ("beta1", "beta2", "eps"),
    "rmsprop": ("alpha", "eps"),
    "adagrad": ("eps",),
    "momentum": ("momentum",),
    "sgd": (),
}
OTHERS = ("without", "no bias", "nesterov", "amsgrad", "nadam", "adamax", "centered", "clip", "belief", "not adam")

Numbers = Mapping[str, Any]


def named_rule(optimizer: Any, rate: float | None) -> tuple[str, dict[str, Any]] | None:
    """The rule that a class names in its own name or docstring, and the numbers that this optimizer has for it."""
    cls, held = type(optimizer), {name: getattr(optimizer, name, None) for name in _names(optimizer)}
    text = f"{cls.__name__} {vars(cls).get('__doc__') or ''}".lower()
    varied = any(word in text for word in OTHERS) and not cls.__module__.startswith("minigrad.")
    if rate is None or varied or callable(getattr(optimizer, "learning_rate", None)) or hasattr(optimizer, "optimizer"):
        return None
    first = " ".join(text.split()[:3])
    for name, needed in NEEDED.items():
        of_name = cls.__name__.lower().startswith(name) or name in first.replace(",", " ").replace(":", " ").split()
        if of_name and all(isinstance(held.get(each), float | int) for each in needed):
            numbers = {each: float(value) for each, value in held.items() if isinstance(value, float | int)}
            return name, {"weight_decay": 0.0, "momentum": 0.0, "nesterov": 0.0} | numbers | {"rate": rate}
    return None


def _names(optimizer: Any) -> set[str]:
    known = {name for needed in NEEDED.values() for name in needed} | {"weight_decay", "nesterov"}
    return known & ({*vars(optimizer)} | {*inspect.signature(type(optimizer)).parameters})


def trajectory(name: str, numbers: Numbers, theta: Array, gradients: list[Array]) -> Array:
    """Theta after each step."""
    path, memory = [theta], (0 * theta, 0 * theta)
    for t, g in enumerate(gradients, 1):
        new, memory = STEPS[name](numbers, t, path[-1], g, *memory)
        path.append(new)
    return np.array(path[1:])


Stepped = tuple[Array, tuple[Array, Array]]


def _sgd(n: Numbers, t: int, theta: Array, g: Array, v: Array, _: Array) -> Stepped:
    g = g + n["weight_decay"] * theta
    v = n["momentum"] * v + g
    return theta - n["rate"] * (g + n["momentum"] * v if n["nesterov"] else v), (v, _)


def _adam(n: Numbers, t: int, theta: Array, g: Array, m: Array, v: Array) -> Stepped:
    g = g + n["weight_decay"] * theta
    b1, b2, at = n["beta1"], n["beta2"], 1 if n.get("always") else max(t + n.get("late", 0), 1)
    m = b1 * m + n.get("rest1", 1 - b1) * g
    v = b2 * v + n.get("rest2", 1 - b2) * g**2
    first, second = (1 if n.get(raw) else 1 - b**at for raw, b in (("raw_m", b1), ("raw_v", b2)))
    second = second**2 if n.get("squared") else second
    root = np.sqrt(v / second + n["eps"]) if n.get("inside") else np.sqrt(v / second) + n["eps"]
    return theta - n["rate"] * (m / first) / (root if not n.get("rootless") else v / second + n["eps"]), (m, v)


def _adamw(n: Numbers, t: int, theta: Array, g: Array, m: Array, v: Array) -> Stepped:
    shrunk = theta - n["rate"] * n["weight_decay"] * theta
    return _adam({**n, "weight_decay": 0.0}, t, shrunk, g, m, v)


def _rmsprop(n: Numbers, t: int, theta: Array, g: Array, v: Array, u: Array) -> Stepped:
    g = g + n["weight_decay"] * theta
    v = n["alpha"] * v + n.get("rest", 1 - n["alpha"]) * g**2
    root = np.sqrt(v + n["eps"]) if n.get("inside") else np.sqrt(v) + n["eps"]
    u = n["momentum"] * u + g / (root if not n.get("rootless") else v + n["eps"])
    return theta - n["rate"] * u, (v, u)


def _adagrad(n: Numbers, t: int, theta: Array, g: Array, s: Array, _: Array) -> Stepped:
    g = g + n["weight_decay"] * theta
    s = s + (abs(g) if n.get("absolute") else g**2)
    return theta - n["rate"] * g / (np.sqrt(s) + n["eps"] if not n.get("rootless") else s + n["eps"]), (s, _)


STEPS: dict[str, Callable[..., Any]] = {
    "sgd": _sgd,
    "momentum": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
}


def wrong_variants(name: str, n: Numbers) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The slips: words for each, and the rule and the numbers that have it."""
    yield "the weight decay is left out", name, {**n, "weight_decay": 0.0}
    if name in ("adam", "adamw"):
        yield "the bias correction of m, division by 1 - β₁ᵗ, is missing", name, {**n, "raw_m": 1}
        yield "the bias correction of v, division by 1 - β₂ᵗ, is missing", name, {**n, "raw_v": 1}
        yield "√(1 - β₂ᵗ) lacks its root", name, {**n, "squared": 1}
        yield "both bias corrections are missing: division by 1 - βᵗ", name, {**n, "raw_m": 1, "raw_v": 1}
        yield "the bias correction is 1 - β where 1 - βᵗ belongs: the power t is missing", name, {**n, "always": 1}
        for late in (1, -1):
            yield "the bias correction takes another t: it is 1 in the first step", name, {**n, "late": late}
        yield "m takes g instead of (1 - β₁) g", name, {**n, "rest1": 1.0}
        yield "v takes g² instead of (1 - β₂) g²", name, {**n, "rest2": 1.0}
        yield "v takes (1 - β₁) g² instead of (1 - β₂) g²", name, {**n, "rest2": 1 - n["beta1"]}
        yield "β₁ and β₂ are exchanged", name, {**n, "beta1": n["beta2"], "beta2": n["beta1"]}
        other = "adam" if name == "adamw" else "adamw"
        yield "the weight decay goes through the moments, or not, the other way round", other, {**n}
    if name in ("adam", "adamw", "rmsprop"):
        yield "ε stands inside the root", name, {**n, "inside": 1}
    if name == "rmsprop":
        yield "v takes g² instead of (1 - α) g²", name, {**n, "rest": 1.0}
        yield "α and 1 - α are exchanged", name, {**n, "alpha": 1 - n["alpha"]}
    if name in ("adam", "adamw", "rmsprop", "adagrad"):
        yield "the root of the sum of squares is missing", name, {**n, "rootless": 1}
    if name == "adagrad":
        yield "the sum takes |g| instead of g²", name, {**n, "absolute": 1}
        yield "the squares are not added up", "rmsprop", {**n, "alpha": 0.0}
    if name in ("sgd", "momentum") and n["momentum"]:
        yield "the momentum is left out", name, {**n, "momentum": 0.0}
        yield "the gradient counts only 1 - μ", name, {**n, "rate": n["rate"] * (1 - n["momentum"])}
    yield "the rate counts twice", name, {**n, "rate": 2 * n["rate"]}
    yield "the rate counts half", name, {**n, "rate": n["rate"] / 2}
