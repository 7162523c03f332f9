"""The contract of an optimizer: its step, its memory, and the rule that it says it follows."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from minigrad.layers.dense import Dense
from minigrad.losses import MeanSquaredError
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.programs.runtime.execution import program as program_of
from minigrad.sequential import Sequential
from minigrad.testing.bench.layers import Bench
from minigrad.testing.contract import run
from minigrad.testing.oracle.rounding import agree, noise_of, same
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, Rule, Skipped, rule
from minigrad.testing.textbook import ALSO, Numbers, named_rule, number, trajectory, wrong_variants

SIZE, STEPS, DESCENT = 7, 5, 300
WITH = 0.1  # a weight decay, or an ε, that shows


def check_optimizer(optimizer: Any, *, seed: int = 0) -> Report:
    """Prove that an optimizer keeps its contract, or raise GradientError, which says what is wrong with it.

    All is done on copies without memory. Returns the report, whose `str()` is a table.

    Raises TypeError for what has no step(theta, dtheta), and for a class.
    """
    if isinstance(optimizer, type):
        raise TypeError(f"check_optimizer takes an optimizer, not a class; write {optimizer.__name__}(…)")
    if not callable(getattr(optimizer, "step", None)):
        raise TypeError(f"check_optimizer takes an optimizer with a step(theta, dtheta), not {optimizer!r}")
    return run(OptimizerBench(optimizer, seed), CONTRACT)


class OptimizerBench(Bench):
    """The bench for one optimizer: fresh copies of it, a vector of parameters and the gradients of some steps."""

    def __init__(self, optimizer: Any, seed: int) -> None:
        rng, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
        cls: Any = type(optimizer)
        super().__init__(Report(cls.__name__ if cls.__repr__ is object.__repr__ else repr(optimizer)), directions)
        self.optimizer = optimizer
        self.theta: Array = rng.standard_normal(SIZE)
        self.gradients: list[Any] = list(rng.standard_normal((2 * STEPS, SIZE)))

    def fresh(self, of: Any = None) -> Any:
        """A copy, of this one if one is given, that has made no step yet."""
        made = copy.deepcopy(self.optimizer if of is None else of)
        if isinstance(made, Optimizer):
            for part, name in made.slots():
                vars(part).pop(name, None)
            made.steps = made.epochs = 0
        return made

    @property
    def rate(self) -> float | None:
        """The learning rate at the start, if it is known."""
        rate = number(self.optimizer, "learning_rate")
        try:
            return float(rate(0) if callable(rate) else rate)
        except (TypeError, ValueError):
            return None

    def with_number(self, name: str, value: float) -> Any:
        """One of its class made anew with this number; None if its class takes none, or can't be made again."""
        names = [*inspect.signature(type(self.optimizer)).parameters]
        found = next((each for each in (name, *ALSO[name]) if each in names), None)
        if found is None or not all(hasattr(self.optimizer, each) for each in names):
            return None
        return type(self.optimizer)(**{each: getattr(self.optimizer, each) for each in names} | {found: value})

    def steps(self, optimizer: Any, theta: Array, gradients: Any, situation: str = "") -> Array:
        """Theta after steps with these gradients, changed in place; what a step raises is evidence."""
        for gradient in gradients:
            try:
                optimizer.step(theta, np.array(gradient, theta.dtype))
            except Exception as error:
                raise Evidence(f"step raises {type(error).__name__}: {error}", situation=situation) from error
        return theta

    def path(self, optimizer: Any) -> Array:
        """Theta after each of the first steps."""
        path = [self.theta]
        for gradient in self.gradients[:STEPS]:
            path.append(self.steps(optimizer, path[-1].copy(), [gradient]))
        return np.array(path[1:])

    def averages(self, name: str) -> bool:
        """Whether its momentum may be a running mean: that is so where it is called β."""
        return name in ("momentum", "sgd") and hasattr(self.optimizer, "beta")


@rule("a step changes theta in place, downhill, and reads dtheta")
def in_place(bench: OptimizerBench) -> None:
    """Theta moves against the gradient, in float32 and float64; dtheta stays as it was."""
    for dtype in (np.float64, np.float32):
        theta, dtheta = bench.theta.astype(dtype), (10 * bench.gradients[0]).astype(dtype)
        before, given = theta.copy(), dtheta.copy()
        optimizer = bench.fresh()
        try:
            optimizer.step(theta, dtheta)
        except Exception as error:
            raise Evidence(f"step raises {type(error).__name__}: {error}", situation=np.dtype(dtype).name) from error
        if not same(dtheta, given):
            raise Evidence("step changes dtheta", "dtheta overwritten")
        if not np.isfinite(theta).all():
            raise Evidence(f"theta is {theta[~np.isfinite(theta)][0]} after one step", "zero by zero at once")
        for part, name in optimizer.slots() if isinstance(optimizer, Optimizer) else []:
            if (held := vars(part)[name]).dtype != dtype:
                what = f"after a step in {np.dtype(dtype).name} its {name} is {held.dtype}"
                raise Evidence(what, "memory of another dtype", situation=np.dtype(dtype).name)
        if same(theta, before):
            if bench.rate == 0:
                return
            raise Evidence("theta is what it was after a step", "theta not moved")
        if float(np.dot(np.subtract(theta, before), given)) >= 0:
            raise Evidence("the first step moves theta along the gradient instead of against it", "uphill")
        if dtype is np.float64 and same(theta, theta.astype(np.float32).astype(np.float64)):
            raise Evidence("in float64 theta has no more digits than float32 holds", "theta rounded")


@rule("nothing of theta and dtheta is kept but copies; two runs give the same bits")
def nothing_kept(bench: OptimizerBench) -> None:
    """The arrays that are passed may hold other numbers afterwards, as a model's do."""
    plain = bench.steps(bench.fresh(), bench.theta.copy(), bench.gradients)
    if not same(plain, bench.steps(bench.fresh(), bench.theta.copy(), bench.gradients)):
        raise Evidence("two runs with the same gradients differ", "random optimizer")
    optimizer, theta, dtheta = bench.fresh(), bench.theta.copy(), np.empty(SIZE)
    for gradient in bench.gradients:
        dtheta[...] = gradient
        optimizer.step(theta, dtheta)
        dtheta[...] = 1e3
    if not same(theta, plain):
        raise Evidence("other numbers in the array dtheta, after a step, change the next one", "dtheta kept")
    optimizer, theta = bench.fresh(), bench.theta
    for gradient in bench.gradients:
        given = bench.steps(optimizer, theta.copy(), [gradient])
        theta = given.copy()
        given[...] = 1e3
    if not same(theta, plain):
        raise Evidence("other numbers in the array theta of an earlier step change the next one", "theta kept")


@rule("a run that is resumed equals one that is not, by state() and load_state()")
def resumed(bench: OptimizerBench) -> Skipped | None:
    """All that a step depends on is in the state, which is a copy."""
    if not (hasattr(bench.optimizer, "state") and hasattr(bench.optimizer, "load_state")):
        return Skipped("it has no state() and load_state()")
    first, theta = bench.fresh(), bench.theta.copy()
    bench.steps(first, theta, bench.gradients[:STEPS])
    try:
        state = first.state()
        kept = copy.deepcopy(state)
        second, other = bench.fresh(), theta.copy()
        second.load_state(state)
        lost = [name for name, value in vars(first).items() if not np.array_equal(value, vars(second).get(name))]
    except Exception as error:
        raise Evidence(f"{type(error).__name__}: {error}", "state incomplete") from error
    bench.steps(first, theta, bench.gradients[STEPS:])
    if not same(state, kept):
        raise Evidence("a later step changes what state() has returned", "state not copied")
    bench.steps(second, other, bench.gradients[STEPS:])
    if not same(state, kept):
        raise Evidence("steps after load_state(state) change the arrays in state", "state kept")
    if not same(theta, other):
        is_ours = isinstance(bench.optimizer, Optimizer)
        likely = f"state() and load_state() leave out self.{', self.'.join(lost)}" if lost and not is_ours else ""
        raise Evidence(
            "after load_state the steps are others than without the break", "state incomplete", likely=likely
        )
    return None


@rule("a gradient of zeros moves nothing but by weight decay")
def zero_gradient(bench: OptimizerBench) -> None:
    """No quotient of zeros, and no step that does not come from the gradient."""
    theta = bench.steps(bench.fresh(), bench.theta.copy(), [np.zeros(SIZE)] * 3, "zero gradients")
    if not np.isfinite(theta).all():
        raise Evidence(f"with gradients of 0 theta becomes {theta[~np.isfinite(theta)][0]}", "zero by zero")
    decaying = bench.fresh() if _decay(bench.optimizer) else bench.with_number("weight_decay", WITH)
    grown = decaying and bench.steps(decaying, bench.theta.copy(), [np.zeros(SIZE)], "zero gradients") - bench.theta
    if decaying and float(grown @ bench.theta) > 0:
        raise Evidence("with gradients of 0 and a weight decay theta moves away from 0", "decay grows")
    if bench.steps(bench.fresh(), np.zeros(SIZE), [np.zeros(SIZE)] * 3, "theta and gradients of 0").any():
        raise Evidence("with theta and gradients of 0 theta moves", "step not from the gradient")
    if not _decay(bench.optimizer) and not agree(theta, bench.theta, noise_of(bench.theta)):
        moved = float(abs(theta - bench.theta).max())
        raise Evidence(f"with gradients of 0 theta moves by {moved:.3g} in three steps", "step not from the gradient")


def _decay(optimizer: Any) -> float:
    """The weight decay of an optimizer, or of the one that it wraps."""
    inner = getattr(optimizer, "optimizer", None)
    found = number(optimizer, "weight_decay") or 0.0
    return float(found if isinstance(found, int | float) else 1.0) or (_decay(inner) if inner is not None else 0.0)


@rule("parameters of every number are treated alike")
def every_size(bench: OptimizerBench) -> None:
    """Many parameters with repeating numbers and gradients move in the same repetition; one alone moves too."""
    times = 359
    theta = bench.steps(bench.fresh(), np.tile(bench.theta, times), [np.tile(g, times) for g in bench.gradients])
    moved = theta.reshape(times, SIZE)
    if not agree(moved, np.broadcast_to(moved[0], moved.shape), noise_of(moved), relative=1e-6):
        position = int(np.argmax((abs(moved - moved[0]) > 1e-6).any(axis=1)))
        what = f"of {theta.size} parameters those from {position * SIZE} on move otherwise than the first {SIZE}"
        raise Evidence(what, "parameters treated apart")
    optimizer, alone = bench.fresh(), bench.theta[:1].copy()
    path = [bench.steps(optimizer, alone, [g[:1]], "one parameter").copy() for g in bench.gradients]
    if all(same(reached, bench.theta[:1]) for reached in path) and bench.rate != 0:
        raise Evidence("a single parameter is not moved", "theta not moved")


@rule("a quadratic goes down")
def descends(bench: OptimizerBench) -> Skipped | str:
    """Half the sum of θ², from where its gradient is θ."""
    if bench.rate is not None and not 0 < bench.rate <= 1:
        return Skipped(f"not with a learning rate of {bench.rate:g}")
    optimizer, theta = bench.fresh(), 3 * bench.theta
    start = 0.5 * float(theta @ theta)
    for _ in range(DESCENT):
        optimizer.step(theta, theta.copy())
    end = 0.5 * float(theta @ theta)
    if not end < start:
        raise Evidence(f"half the sum of θ² goes from {start:.4g} to {end:.4g} in {DESCENT} steps", "goes up")
    return f"{start:.3g} -> {end:.3g} in {DESCENT} steps"


@rule("the learning rate may be a function of the step")
def schedule(bench: OptimizerBench) -> Skipped | str:
    """A schedule gives what setting its numbers by hand gives."""
    rate = bench.rate
    if rate is None or not isinstance(bench.optimizer, Optimizer):
        return Skipped("it has no learning_rate that could be one")
    rates = [(rate or 0.1) * 0.5**step for step in range(STEPS)]
    by_hand, scheduled = bench.fresh(), bench.fresh()
    theta, other = bench.theta.copy(), bench.theta.copy()
    scheduled.learning_rate = lambda step: rates[min(step, STEPS - 1)]
    for gradient, rate_then in zip(bench.gradients, rates, strict=False):
        by_hand.learning_rate = rate_then
        bench.steps(by_hand, theta, [gradient])
        bench.steps(scheduled, other, [gradient], "with a schedule")
    if same(theta, bench.steps(bench.fresh(), bench.theta.copy(), bench.gradients[:STEPS])) and rate:
        begun = bench.fresh(by_hand)  # without its memory: what the rate is kept in elsewhere stays
        if not same(theta, bench.steps(begun, bench.theta.copy(), bench.gradients[:STEPS])):
            return "at the first step: its memory starts with it"
        raise Evidence("other learning rates make the same steps", "schedule ignored")
    if not agree(theta, other, noise_of(theta)):
        raise Evidence("with a schedule the steps are not those of its numbers, set by hand", "schedule ignored")
    return ""


@rule("the first steps are those of the rule that it documents")
def documented(bench: OptimizerBench) -> Skipped | str:
    """Where its class says that it is SGD, momentum, Adam, AdamW, RMSprop or Adagrad; with a weight decay, too."""
    found = named_rule(bench.optimizer, bench.rate)
    if found is None:
        return Skipped("it names no rule that is known here")
    name, numbers = found
    path = bench.path(bench.fresh())
    right = [trajectory(name, numbers, bench.theta, bench.gradients[:STEPS])]
    if bench.averages(name):  # v = μ v + (1 - μ) g, as some courses have it
        right.append(trajectory(name, _averaging(numbers), bench.theta, bench.gradients[:STEPS]))
    if any(_like(path, each) for each in right):
        _documented_with(bench, "weight_decay", "the weight decay")
        _documented_with(bench, "eps", "ε ")
        return f"{name}, {STEPS} steps"
    for words, changed, others in wrong_variants(name, numbers):
        if _like(path, trajectory(changed, others, bench.theta, bench.gradients[:STEPS])):
            raise Evidence(f"the first {STEPS} steps are not those of {name}", "another rule", words=words)
    half = SIZE // 2
    halves = [gradient[:half] for gradient in bench.gradients[:STEPS]]
    alone = bench.steps(bench.fresh(), bench.theta[:half].copy(), halves)
    if not agree(alone, path[-1][:half], noise_of(alone)):
        what = f"the first {half} parameters alone move otherwise than among {SIZE}; in {name} each moves by itself"
        raise Evidence(what, "parameters coupled")
    if type(bench.optimizer).__name__.lower() in (name, f"my{name}"):
        off = abs(path[0] - trajectory(name, numbers, bench.theta, bench.gradients[:1])[0]).max()
        what = f"the first {STEPS} steps are not those of {name}; the first is off by {off:.3g}"
        raise Evidence(what, "another rule", words="no known slip gives these steps")
    bench.report.note(f"its steps are not those of {name}, which its text names")
    return Skipped(f"it differs from {name}, by no known slip")


def _documented_with(bench: OptimizerBench, asked: str, begins: str) -> None:
    """Raise for a slip that is seen only with another number: a weight decay that isn't 0, an ε that isn't tiny.

    Only slips whose words begin so are told: there is more than one way to decay.
    """
    changed = bench.with_number(asked, WITH)
    found = named_rule(changed, bench.rate) if changed else None
    if found is None or found[1].get(asked) != WITH:
        return
    name, numbers = found
    path, numbers = bench.path(changed), _averaging(numbers) if bench.averages(name) else numbers
    for words, other, others in wrong_variants(name, numbers):
        meant = words.startswith(begins) and "moments" not in words
        if meant and _like(path, trajectory(other, others, bench.theta, bench.gradients[:STEPS])):
            what = f"the first {STEPS} steps, with {asked} {WITH}, are not those of {name}"
            raise Evidence(what, "another rule", words=words)


def _averaging(numbers: Numbers) -> dict[str, Any]:
    return {**numbers, "rate": numbers["rate"] * (1 - numbers["momentum"])}


def _like(path: Array, other: Array) -> bool:
    return agree(path, other, 1e4 * noise_of(path), relative=1e-6)


@rule("a recorded program makes the same step")
def program(bench: OptimizerBench) -> Skipped | str:
    """What `model.program` writes down of a step is that step."""
    if not isinstance(bench.optimizer, Optimizer):
        return Skipped()
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    model = Sequential([Dense(3, 2, seed=0)], dtype=np.float64)
    try:
        made = program_of(model, MeanSquaredError(), bench.fresh(), batch_size=6, any_code=True)
        new = made.interpret((x, t))["W1_new"]
    except Exception as error:
        return Skipped(f"it can't be recorded ({type(error).__name__})")
    model.backward(MeanSquaredError().backward(model.forward(x), t))
    bench.steps(bench.fresh(), model.theta, [model.dtheta.copy()])
    weights = model.layers[0].params["W"]
    if not agree(new, weights, noise_of(weights)):
        raise Evidence("the step of a recorded program is another than the step itself", "not recordable")
    return "one step"


CONTRACT: tuple[Rule[OptimizerBench], ...] = (
    in_place,
    nothing_kept,
    zero_gradient,
    documented,
    resumed,
    schedule,
    every_size,
    descends,
    program,
)
