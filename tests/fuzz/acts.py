"""Acts: what is done with the model of a case, one thing after the other: trained, changed, predicted with."""

import random
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np

from minigrad import DivergenceError
from minigrad.layer import whole_copy
from minigrad.parameter import walk
from tests.fuzz.cases import FAMILIES, in_memory, setup
from tests.fuzz.draws import Draws
from tests.fuzz.habits import Habit, Stop
from tests.fuzz.oracle import ByHand, Ours, first_difference, frozen, left_by, programs_after


class Case:
    """A family and a seed: the same in both worlds. `fixed` are draws that are given instead."""

    def __init__(self, family, seed, fixed=None):
        self.family, self.seed, self.fixed = family, seed, fixed
        self.draws = self._draws()

    def _draws(self):
        return Draws(self.family, self.seed, self.fixed)

    def failure(self):
        """The first difference between the worlds, in words; None where there is none."""
        self.draws = self._draws()
        ours = self._run(self.draws, Ours(self.draws.number("steps by hand", 0, 3)))
        return first_difference(ours, self._run(self._draws(), ByHand()))

    def _run(self, draws, world):
        random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002
        errors = np.geterr()
        family = FAMILIES[self.family]
        try:
            with programs_after(world.steps_by_hand):
                made = setup(draws, family)
                return list(acts(draws, family, made, world))
        finally:
            np.seterr(**errors)

    def __str__(self):
        return f"{self.family} {self.seed}: {self.draws}"


def acts(draws, family, made, world):
    """Do one act after the other, and say what each has left behind."""
    for n in range(draws.number("acts", 1, 6)):
        kinds = ["train", "predict"]
        if n and family.changes:
            kinds.append("change")
        kind = draws.one_of(f"act {n}", kinds) if n else "train"
        found, ended = {"act": kind}, False
        try:
            if kind == "train":
                found["losses"] = frozen(train(draws, f"act {n}", family, made, world))
            elif kind == "predict":
                found["predictions"] = frozen(predict(draws, f"act {n}", made, world))
            else:
                found["act"] = change(draws, f"act {n}", made)
        except Stop as error:
            found["raised"] = type(error).__name__
        except Exception as error:
            found["raised"], ended = type(error).__name__, True
            found["message"] = "" if isinstance(error, DivergenceError) else str(error)
        left = left_by(made.model, made.optimizer) | frozen_extra(made)
        if ended:  # of an epoch that was undone, what no one declared is not put back
            left = {name: value for name, value in left.items() if name == "theta"}
        yield found | left
        if ended:
            return


def frozen_extra(made):
    """What losses and functions of the user's own leave behind."""
    augment = made.options.get("augment")
    found = {f"loss.{name}": frozen(value) for name, value in vars(made.loss).items()}
    if hasattr(augment, "kept"):
        found["augment's rows"] = frozen(augment.kept)
    found["thread"] = made.extra.get("thread", [])
    return found


def train(draws, here, family, made, world):
    between = []
    if family.changes and draws.chance(f"{here} between epochs", 0.4):
        count = iter(range(100))
        between = [lambda: change(draws, f"{here} epoch {next(count)}", made)]
    options = dict(made.options, epochs=draws.number(f"{here} epochs", 1, 4), loss=made.loss, optimizer=made.optimizer)
    meanwhile = family.another_thread and isinstance(world, Ours)
    with predicting(made) if meanwhile else nothing():
        return world.train(made.model, made.x, made.t, between, **options)


@contextmanager
def nothing():
    yield


@contextmanager
def predicting(made):
    """Another thread predicts in here, for one number of rows after the other."""
    done, errors, switching = threading.Event(), made.extra.setdefault("thread", []), sys.getswitchinterval()

    def work():
        rows = 0
        while not done.is_set():
            rows = rows % min(5, len(made.x)) + 1
            for _ in range(4):
                try:
                    y = made.model.predict(made.x[:rows])
                except Exception as error:
                    errors.append(f"{type(error).__name__}: {error}")
                    return
                if len(y) != rows:
                    errors.append(f"{len(y)} rows for {rows}")
            time.sleep(2e-4)  # else, on idle processors, the thread that trains hardly ever gets its turn

    thread = threading.Thread(target=work)
    sys.setswitchinterval(2e-5)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(switching)


def predict(draws, here, made, world):
    """Several predictions for the same shapes, so that programs are made and used."""
    rows = draws.number(f"{here} rows", 0, min(6, len(made.x)))
    x = np.array(made.x[:rows])
    if x.dtype.kind == "f":
        x = in_memory(draws, f"{here} x", x.astype(np.float64))
    turned = draws.chance(f"{here} rows turned about", 0.2)
    found = []
    for _ in range(4):
        found.append(np.array(world.predict(made.model, x)))
        x = x[::-1] if turned else x
    return found


# ------------------------------------------------------------------------------------------------------------- changes
def change(draws, here, made):
    """Change something as its owner would, and say what."""
    habits = [layer for layer in walk([made.model]) if isinstance(layer, Habit)]
    kinds = (["habit"] if habits else []) + [*CHANGES]
    name = draws.one_of(f"{here} changes", kinds) if not habits or draws.chance(f"{here} another", 0.4) else "habit"
    if name == "habit":
        for layer in habits:
            layer.change()
    else:
        CHANGES[name](draws, here, made)
    return f"change {name}"


def some_layer(draws, here, made):
    layers = list(made.model.layers)
    return layers[draws.number(f"{here} of layer", 0, 7) % len(layers)]


def learning_rate(draws, here, made):
    made.optimizer.learning_rate = 0.003


def parameters(draws, here, made):
    made.model.theta *= 0.9


def one_parameter(draws, here, made):
    layer = next(layer for layer in walk([made.model]) if layer.params)
    name = next(iter(layer.params))
    setattr(layer, name, layer.params[name] * 0.5)


def declared_state(draws, here, made):
    for layer in walk([made.model]):
        for name, value in layer.states.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                setattr(layer, name, value * 0.5 + 0.1)


def generators(draws, here, made):
    for layer in walk([made.model]):
        for name, value in layer.states.items():
            if isinstance(value, np.random.Generator):
                setattr(layer, name, np.random.default_rng(9))


def numbers_of_layers(draws, here, made):
    for layer in walk([made.model]):
        for name, value in vars(layer).items():
            if type(value) is float:
                vars(layer)[name] = value * 0.9


def numbers_of_optimizer(draws, here, made):
    for part in made.optimizer.parts():
        for name, value in vars(part).items():
            if type(value) is float and name != "learning_rate":
                vars(part)[name] = value * 0.9


def numbers_of_loss(draws, here, made):
    for name, value in vars(made.loss).items():
        if type(value) is float:
            vars(made.loss)[name] = value * 0.9


def hooked(verb, factor):
    def hook(draws, here, made):
        layer = some_layer(draws, here, made)
        plain = getattr(layer, verb)

        def called(array):
            result = plain(array)
            return None if result is None else result * factor

        setattr(layer, verb, called)

    return hook


def hooked_loss(draws, here, made):
    backward = made.loss.backward
    made.loss.backward = lambda *arguments: backward(*arguments) * 0.5


def hooked_update(draws, here, made):
    update = made.optimizer.update

    def changed(theta, dtheta, **coefficients):
        update(theta, dtheta, **coefficients)
        theta *= 0.99

    made.optimizer.update = changed


def batch_size(draws, here, made):
    made.options["batch_size"] = draws.number(f"{here} size", 1, 9)


def penalty(draws, here, made):
    made.options["l2"] = 0.0 if made.options["l2"] else 0.05


def rows(draws, here, made):
    if made.x.flags.writeable and made.x.dtype.kind == "f" and draws.drawn["start"] != "columns":
        made.x[:1] *= 0.5


def other_rows(draws, here, made):
    if made.x.dtype.kind == "f":
        made.x = np.asfortranarray(made.x) if made.x.flags.c_contiguous else np.ascontiguousarray(made.x)


def copied(draws, here, made):
    if not any(type(layer).__module__.startswith("tests") for layer in walk([made.model])):
        made.model, made.optimizer = whole_copy((made.model, made.optimizer))


def optimizers_state(draws, here, made):
    made.optimizer.load_state(made.optimizer.state())


def weights(draws, here, made):
    if "sample_weight" in made.options:
        del made.options["sample_weight"]
    else:
        made.options["sample_weight"] = np.linspace(0, 1, len(made.x))


def unlearned(draws, here, made):
    for layer in walk([made.model]):
        if "m" in vars(layer):
            del layer.m


CHANGES = {
    "learning rate": learning_rate,
    "parameters": parameters,
    "one parameter": one_parameter,
    "declared state": declared_state,
    "generators": generators,
    "numbers of layers": numbers_of_layers,
    "numbers of the optimizer": numbers_of_optimizer,
    "numbers of the loss": numbers_of_loss,
    "forward hooked": hooked("forward", 1.5),
    "backward hooked": hooked("backward", 0.5),
    "predict hooked": hooked("predict", 2.0),
    "loss hooked": hooked_loss,
    "optimizer hooked": hooked_update,
    "batch size": batch_size,
    "penalty": penalty,
    "weights": weights,
    "rows in place": rows,
    "rows in another order": other_rows,
    "copied": copied,
    "optimizer's state": optimizers_state,
}
