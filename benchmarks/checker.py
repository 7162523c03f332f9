"""What the checker catches, and what it flags though it is right, on the planted set of `tests/planted`.

    python -m benchmarks.checker [--family rows] [--seeds 3] [--peers] [--verbose]

For every family: bugs caught, right ones flagged, and the seconds of the processor that a check takes with its
diagnosis, the median and the worst; for minigrad also how many of the bugs that have a name were named. Beside it with
`--peers`, on the same layers at the same inputs: plain central differences (step 1e-6, tolerance 1e-5 + 1e-3 of the
value, as most courses have it), PyTorch's `gradcheck` and JAX's `check_grads`, each with its defaults, as far as they
are installed. They check the gradient at one point; what a layer promises beyond that is not theirs to see.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.optimizers import Optimizer
from minigrad.testing import GradientError, check_layer, check_loss, check_optimizer
from minigrad.testing.bench.first_input import find_input
from minigrad.testing.bench.subject import Subject
from tests.planted.mutation import Planted, everything

Check = Callable[[Any, Any, int], str]


def minigrad(subject: Any, x: Any, seed: int) -> str:
    """What minigrad says is wrong; empty if nothing is."""
    try:
        if isinstance(subject, Layer):
            check_layer(subject, x, seed=seed)
        elif isinstance(subject, Optimizer):
            check_optimizer(subject, seed=seed)
        else:
            check_loss(subject, *(x or (None, None)), seed=seed)
    except GradientError as error:
        return str(error)
    return ""


class Bare:
    """A layer as one function of a vector (x, θ), with its gradient, for checkers that know no layers."""

    def __init__(self, layer: Layer, x: Any, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.subject = Subject(layer)
        self.x = find_input(self.subject, rng) if x is None else np.asarray(x)
        self.x = self.x.astype(np.float64) if self.x.dtype.kind == "f" else self.x
        self.v = self.subject.vector(self.x, self.subject.theta)

    def forward(self, v: Any) -> Any:
        """y at v."""
        return self.subject.at(np.asarray(v), self.x)

    def gradient(self, v: Any, dy: Any) -> Any:
        """The layer's own gradient of Σ dy y at v."""
        size = self.x.size if self.x.dtype.kind == "f" else 0
        x = np.asarray(v)[:size].reshape(self.x.shape) if size else self.x
        return np.array(self.subject.gradient(x, np.asarray(v)[size:].copy(), np.array(dy)))


def differences(subject: Any, x: Any, seed: int) -> str:
    """Central differences of Σ dy y for every entry, as courses have them."""
    bare = Bare(subject, x, seed)
    dy = np.random.default_rng(seed + 1).standard_normal(bare.forward(bare.v).shape)
    given = bare.gradient(bare.v, dy)
    for i in range(len(bare.v)):
        step = 1e-6 * (np.arange(len(bare.v)) == i)
        slope = float((dy * (bare.forward(bare.v + step) - bare.forward(bare.v - step))).sum()) / 2e-6
        if not abs(given[i] - slope) <= 1e-5 + 1e-3 * abs(slope):
            return f"entry {i} is {given[i]}, but should be {slope}"
    return ""


def gradcheck(subject: Any, x: Any, seed: int) -> str:
    """torch.autograd.gradcheck"""
    import torch

    bare = Bare(subject, x, seed)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Any) -> Any:
            ctx.v = v.detach().numpy().copy()
            return torch.from_numpy(np.array(bare.forward(ctx.v)))

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:  # type: ignore[override]
            return torch.from_numpy(bare.gradient(ctx.v, dy.numpy().copy()))

    v = torch.from_numpy(bare.v.copy()).requires_grad_()
    try:
        torch.autograd.gradcheck(Function.apply, (v,))
    except Exception as error:
        return str(error)
    return ""


def check_grads(subject: Any, x: Any, seed: int) -> str:
    """jax.test_util.check_grads, reverse mode"""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    bare = Bare(subject, x, seed)
    shape = jax.ShapeDtypeStruct(bare.forward(bare.v).shape, np.float64)
    like = jax.ShapeDtypeStruct(bare.v.shape, np.float64)

    @jax.custom_vjp
    def function(v: Any) -> Any:
        return jax.pure_callback(lambda v: np.array(bare.forward(v)), shape, v)

    def backward(v: Any, dy: Any) -> Any:
        return (jax.pure_callback(bare.gradient, like, v, dy),)

    function.defvjp(lambda v: (function(v), v), backward)
    try:
        check_grads(function, (bare.v,), order=1, modes=["rev"])
    except Exception as error:
        return str(error)
    return ""


def checks(peers: bool) -> dict[str, Check]:
    """minigrad's, and those of the others that are installed."""
    found: dict[str, Check] = {"minigrad": minigrad}
    if peers:
        found["differences"] = differences
        for name, module, check in (("gradcheck", "torch", gradcheck), ("check_grads", "jax", check_grads)):
            try:
                __import__(module)
            except ImportError:
                print(f"{name}: {module} is not installed")
                continue
            found[name] = check
    return found


def outcome(check: Check, planted: Planted, seed: int) -> tuple[str, float]:
    """What one check says of one of the set, and how long it took."""
    subject, x = planted.make()
    start = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            said = check(subject, x, seed)
        except Exception as error:  # of the layer: a peer has nothing else to tell of it
            said = f"{type(error).__name__}: {error}"
    return said, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", help="only this one")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="print what was missed, flagged or not named")
    options = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[Planted, str, float]]] = defaultdict(list)
    chosen = checks(options.peers)
    for planted in everything():
        if options.family in (None, planted.family):
            for name, check in chosen.items():
                if name == "minigrad" or isinstance(planted.make()[0], Layer):
                    for seed in range(options.seeds):
                        found[planted.family, name].append((planted, *outcome(check, planted, seed)))
    if options.verbose:
        _tell(found)
    print(f"{'family':<14}{'checker':<13}{'caught':>12}{'flagged':>12}{'named':>12}{'median s':>10}{'worst s':>9}")
    families = sorted({family for family, _ in found})
    for family in [*families, "all"] if len(families) > 1 else families:
        for name in chosen:
            rows = [row for (of, by), rows in found.items() if by == name and family in (of, "all") for row in rows]
            if rows:
                print(f"{family:<14}{name:<13}{_counts(name, rows)}")


def _counts(name: str, rows: list[tuple[Planted, str, float]]) -> str:
    wrong, seconds = [said for planted, said, _ in rows if planted.wrong], [taken for *_, taken in rows]
    flagged = [bool(said) for planted, said, _ in rows if not planted.wrong]
    named = [planted.words in said for planted, said, _ in rows if planted.words and said]
    cells = f"{sum(map(bool, wrong)):>6} / {len(wrong):<4}{sum(flagged):>6} / {len(flagged):<4}"
    cells += f"{sum(named):>6} / {len(named):<4}" if name == "minigrad" else " " * 13
    return f"{cells}{np.median(seconds):>8.3f}{max(seconds):>9.3f}"


def _tell(found: dict[tuple[str, str], list[tuple[Planted, str, float]]]) -> None:
    for (family, name), rows in found.items():
        for planted, said, _ in rows if name == "minigrad" else ():
            if planted.wrong and not said:
                print(f"missed  {family}: {planted.name}")
            elif said and not planted.wrong:
                print(f"flagged {family}: {planted.name}\n{said}\n")
            elif planted.words and planted.words not in said:
                print(f"named?  {family}: {planted.name}, without {planted.words!r}\n{said}\n")
        print()


if __name__ == "__main__":
    main()
