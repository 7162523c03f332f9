"""The textbook's optimizers in a few lines each, and the slips that are made in writing them.

They are written for reading, apart from `minigrad.optimizers`, so that one may check the other.
"""

from __future__ import annotations

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
ALSO: dict[str, tuple[str, ...]] = {  # how others call the numbers
    "learning_rate": ("lr", "eta", "step_size", "rate"),
    "momentum": ("mu", "gamma", "rho", "beta"),
    "beta1": ("beta_1", "b1"),
    "beta2": ("beta_2", "b2"),
    "alpha": ("decay_rate", "rho", "beta", "decay", "gamma"),
    "eps": ("epsilon",),
    "weight_decay": ("wd", "l2", "reg", "lambda_", "lmbda"),
}
OTHERS = ("without", "no bias", "nesterov", "amsgrad", "nadam", "adamax", "centered", "clip", "belief", "not adam")

Numbers = Mapping[str, Any]


def named_rule(optimizer: Any, rate: float | None) -> tuple[str, dict[str, Any]] | None:
    """The rule that a class names in its own name or docstring, and the numbers that this optimizer has for it."""
    cls = type(optimizer)
    text = f"{cls.__name__} {vars(cls).get('__doc__') or ''}".lower()
    varied = any(word in text for word in OTHERS) and not cls.__module__.startswith("minigrad.")
    if rate is None or varied or callable(getattr(optimizer, "learning_rate", None)) or hasattr(optimizer, "optimizer"):
        return None
    first = " ".join(text.split()[:3])
    for name, needed in NEEDED.items():
        of_name = cls.__name__.lower().startswith(name) or name in first.replace(",", " ").replace(":", " ").split()
        optional = ("weight_decay", "momentum", "nesterov") if name == "sgd" else ("weight_decay", "nesterov")
        held = {each: number(optimizer, each) for each in (*needed, *optional)}
        if name == "rmsprop":
            held["momentum"] = getattr(optimizer, "momentum", None)
        if of_name and all(isinstance(held[each], float | int) for each in needed):
            numbers = {each: float(value) for each, value in held.items() if isinstance(value, float | int)}
            return name, {"weight_decay": 0.0, "momentum": 0.0, "nesterov": 0.0} | numbers | {"rate": rate}
    return None


def number(optimizer: Any, name: str) -> Any:
    """A number of an optimizer's, by this name or another that is used for it; None if it has none."""
    found = (getattr(optimizer, each, None) for each in (name, *ALSO.get(name, ())))
    return next((each for each in found if each is not None), None)


def trajectory(name: str, numbers: Numbers, theta: Array, gradients: list[Array]) -> Array:
    """Theta after each step."""
    path, memory = [theta], (0 * theta, 0 * theta)
    for t, g in enumerate(gradients, 1):
        new, memory = STEPS[name](numbers, t, path[-1], g, *memory)
        path.append(new - numbers.get("again", 0.0) * path[-1])
    return np.array(path[1:])


Stepped = tuple[Array, tuple[Array, Array]]


def _sgd(n: Numbers, t: int, theta: Array, g: Array, v: Array, _: Array) -> Stepped:
    g = g + n["weight_decay"] * theta
    v = n["momentum"] * v + g
    return theta - n["rate"] * (g + n["momentum"] * v if n["nesterov"] else v), (v, _)


def _correction(of: str, n: Numbers, t: int, beta: float, moment: str) -> float:
    """What Adam divides a moment by; a slip may be that `of` one of the two alone."""
    if n.get("raw") and moment in of:
        return 1.0
    at = 1 if n.get("always") else max(t + n.get("late", 0), 1)
    return float(1 - beta ** (at if moment in of else t))


def _adam(n: Numbers, t: int, theta: Array, g: Array, m: Array, v: Array) -> Stepped:
    g = g + n["weight_decay"] * theta
    b1, b2 = n["beta1"], n["beta2"]
    m = b1 * m + n.get("rest1", 1 - b1) * g
    v = b2 * v + n.get("rest2", 1 - b2) * g**2
    first, second = (_correction(n.get("of", "mv"), n, t, b, each) for each, b in (("m", b1), ("v", b2)))
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
    decay = n["weight_decay"]
    yield "the weight decay has the wrong sign: theta is to shrink by it", name, {**n, "weight_decay": -decay}
    yield "the weight decay is applied twice", name, {**n, "weight_decay": 2 * decay}
    twice = "the weight decay is applied twice: to the gradient, and to theta itself"
    yield twice, name, {**n, "again": n["rate"] * decay}
    unscaled = {**n, "weight_decay": decay / (n["rate"] or 1)}
    yield "the weight decay isn't multiplied by the learning rate", name, unscaled
    if name in ("adam", "adamw"):
        yield "the bias correction of m, division by 1 - β₁ᵗ, is missing", name, {**n, "raw": 1, "of": "m"}
        yield "the bias correction of v, division by 1 - β₂ᵗ, is missing", name, {**n, "raw": 1, "of": "v"}
        yield "√(1 - β₂ᵗ) lacks its root", name, {**n, "squared": 1}
        yield "both bias corrections are missing: division by 1 - βᵗ", name, {**n, "raw": 1}
        for of, words in (("mv", ""), ("m", " of m"), ("v", " of v")):
            power = f"the bias correction{words} is 1 - β where 1 - βᵗ belongs: the power t is missing"
            yield power, name, {**n, "always": 1, "of": of}
            for late in (1, -1):
                another = f"the bias correction{words} takes another t: it is 1 in the first step"
                yield another, name, {**n, "late": late, "of": of}
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
