"""A catalogue of odd habits: user layers, each a few lines, that do what people's layers do and textbooks' don't.

Every one takes and returns rows of `features` numbers, and is to train by `fit` as it trains by hand. None needs to be
a good idea, and many backwards are no derivative: only the bits count here.
"""

import collections
import copy
import dataclasses
import functools
import itertools
import random
import types
import weakref

import numpy as np

from minigrad import Layer, parameter, state

HABITS = {}


class Habit(Layer):
    """What the layers of the catalogue share: rows of `features` numbers, kept as they are."""

    undeclared = ()
    """The attributes that are undeclared state: `fit` must leave in them what the hand-written loop does."""

    predict_only_reads = True
    """Whether another thread may predict while the layer trains."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if cls.__doc__ and cls.__module__ == __name__:
            HABITS[cls.__name__] = cls

    def __init__(self, features):
        self.features = features
        self.begin()

    def begin(self):
        pass

    def forward(self, x):
        return x

    def backward(self, dy):
        return dy

    def output_shape(self, input_shape):
        return input_shape

    def change(self):
        """What its owner does to it between two epochs."""

    def look(self):
        """Its undeclared state."""
        return {name: getattr(self, name) for name in self.undeclared}


def matrix(features, dtype=np.float32):
    """A fixed matrix that hardly changes sizes."""
    return np.random.default_rng(features).normal(0, features**-0.5, (features, features)).astype(dtype)


# -------------------------------------------------------------------------------------------------- without a backward
class HasNoBackward(Habit):
    """writes no backward, keeps what it likes, and has a parameter"""

    W, dW = parameter()
    backward = Layer.backward

    def begin(self):
        self.W = matrix(self.features)

    def forward(self, x):
        self.kept = [x, {"h": x @ self.W}]
        return x + np.tanh(self.kept[1]["h"])


class HasNoBackwardAndMovesItsState(Habit):
    """writes no backward, reads its state and moves it"""

    mean = state()
    backward = Layer.backward

    def begin(self):
        self.mean = np.zeros(self.features)

    def forward(self, x):
        y = (x - self.mean) / (1 + self.mean * self.mean)
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        return y


class HasNoBackwardAndDraws(Habit):
    """writes no backward, draws noise, and counts"""

    rng = state()
    undeclared = ("n",)
    predict_only_reads = False
    backward = Layer.backward

    def begin(self):
        self.rng, self.n = np.random.default_rng(0), 0

    def forward(self, x):
        self.n += 1
        kept = self.rng.random(x.shape, np.float32) >= 0.2
        return np.concatenate([x[:, :1], x[:, 1:] * kept[:, 1:]], axis=-1) * (1 + self.n % 2 / 8)


class HasNoBackwardAndDecidesInPredict(Habit):
    """writes no backward, and decides by a value in predict only"""

    backward = Layer.backward

    def forward(self, x):
        return np.where(x > 0, x, x / 2)

    def predict(self, x):
        return x if x.mean() > 0 else np.where(x > 0, x, x / 2)


# ----------------------------------------------------------------------------------------------------------- counting
class CountsInANumber(Habit):
    """counts its calls in a number and uses it"""

    undeclared = ("n",)
    predict_only_reads = False

    def begin(self):
        self.n = 0

    def forward(self, x):
        self.n += 1
        return x * (1 + self.n % 3 / 8)


class CountsForTheUser(Habit):
    """counts its calls in a number that no formula uses"""

    undeclared = ("n",)

    def begin(self):
        self.n = 0

    def forward(self, x):
        self.n = self.n + 1
        return x * 1


class CountsRows(Habit):
    """counts the rows that it has seen"""

    undeclared = ("rows",)

    def begin(self):
        self.rows = 0

    def forward(self, x):
        self.rows += len(x)
        return x / (1 + self.rows * 1e-3)


class CountsInAList(Habit):
    """appends to a list and uses its length"""

    undeclared = ("calls",)
    predict_only_reads = False

    def begin(self):
        self.calls = []

    def forward(self, x):
        self.calls.append(len(x))
        return x * (1 + len(self.calls) % 3 / 8)


class CountsInADict(Habit):
    """counts in a dict"""

    undeclared = ("calls",)
    predict_only_reads = False

    def begin(self):
        self.calls = {}

    def forward(self, x):
        self.calls[len(x)] = self.calls.get(len(x), 0) + 1
        return x * (1 + self.calls[len(x)] % 3 / 8)


class CountsInADefaultDict(Habit):
    """counts in a Counter"""

    undeclared = ("calls",)
    predict_only_reads = False

    def begin(self):
        self.calls = collections.Counter()

    def forward(self, x):
        self.calls["forward"] += 1
        return x * 0.5

    def backward(self, dy):
        self.calls["backward"] += 1
        return dy * 0.5


class CountsInASet(Habit):
    """adds to a set"""

    undeclared = ("seen",)
    predict_only_reads = False

    def begin(self):
        self.seen = set()

    def forward(self, x):
        self.seen.add(len(self.seen))
        return x * (1 + len(self.seen) % 3 / 8)


class CountsInADeque(Habit):
    """keeps the means of the last five batches in a deque"""

    undeclared = ("last",)
    predict_only_reads = False

    def begin(self):
        self.last = collections.deque([0.0], maxlen=5)

    def forward(self, x):
        self.last.append(float(x.mean()))
        return x * (1 + 0.1 * sum(self.last))


class CountsInADequeUnread(Habit):
    """keeps array scalars in a deque that only the user reads"""

    undeclared = ("last",)
    predict_only_reads = False

    def begin(self):
        self.last = collections.deque(maxlen=3)

    def forward(self, x):
        self.last.append(x.max())
        return x


class CountsWithItertools(Habit):
    """draws the number of its call from itertools.count"""

    undeclared = ("count",)
    predict_only_reads = False

    def begin(self):
        self.count = itertools.count()

    def forward(self, x):
        return x * (1 + next(self.count) % 5 / 8)


class CountsWithACycle(Habit):
    """alternates between two factors of itertools.cycle"""

    predict_only_reads = False

    def begin(self):
        self.factors = itertools.cycle([1.0, 0.5, 0.25])

    def forward(self, x):
        return x * next(self.factors)


class CountsWithAGenerator(Habit):
    """is told its factor by a Python generator"""

    predict_only_reads = False

    def begin(self):
        self.factors = (1 / (1 + n % 7) for n in itertools.count())

    def forward(self, x):
        return x * next(self.factors)


class CountsInAnObject(Habit):
    """counts in an object of one's own"""

    predict_only_reads = False

    def begin(self):
        self.clock = types.SimpleNamespace(steps=0)

    def forward(self, x):
        self.clock.steps += 1
        return x * (1 + self.clock.steps % 3 / 8)

    def look(self):
        return {"steps": self.clock.steps}


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("steps",)

    def __init__(self):
        self.steps = 0


class CountsInSlots(Habit):
    """counts in an object with __slots__"""

    predict_only_reads = False

    def begin(self):
        self.clock = Slotted()

    def forward(self, x):
        self.clock.steps += 1
        return x * (1 + self.clock.steps % 3 / 8)

    def look(self):
        return {"steps": self.clock.steps}


@dataclasses.dataclass
class Clock:
    """Steps, and the largest number seen."""

    steps: int = 0
    top: object = 0.0


class CountsInADataclass(Habit):
    """keeps a running maximum in a dataclass; nothing reads it"""

    predict_only_reads = False

    def begin(self):
        self.clock = Clock()

    def forward(self, x):
        self.clock.top = np.maximum(self.clock.top, x.max())
        return x

    def look(self):
        return {"top": self.clock.top}


class CountsInTwoPlaces(Habit):
    """a list inside a dict inside a tuple"""

    predict_only_reads = False

    def begin(self):
        self.held = ({"calls": [0]}, 2)

    def forward(self, x):
        self.held[0]["calls"][0] += 1
        return x * (1 + self.held[0]["calls"][0] % self.held[1])

    def look(self):
        return {"calls": self.held[0]["calls"][0]}


class CountsInAnArray(Habit):
    """counts in an integer array, in place"""

    undeclared = ("n",)
    predict_only_reads = False

    def begin(self):
        self.n = np.zeros(2, np.int64)

    def forward(self, x):
        self.n[1] += 1
        return x * (1 + self.n[1] % 3 / 8)


class CountsInDeclaredState(Habit):
    """counts in declared state, an integer"""

    n = state()
    predict_only_reads = False

    def begin(self):
        self.n = 0

    def forward(self, x):
        self.n = self.n + 1
        return x * (1 + self.n % 3)


class CountsInAClosure(Habit):
    """counts in the closure of a function that it holds"""

    predict_only_reads = False

    def begin(self):
        n = 0

        def count():
            nonlocal n
            n += 1
            return n

        self.count = count

    def forward(self, x):
        return x * (1 + self.count() % 3 / 8)


class CountsInADefault(Habit):
    """counts in the mutable default of a function that it holds"""

    predict_only_reads = False

    def begin(self):
        def count(calls=[]):  # noqa: B006
            calls.append(0)
            return len(calls)

        self.count = count

    def forward(self, x):
        return x * (1 + self.count() % 3 / 8)

    def look(self):
        return {"calls": len(self.count.__defaults__[0])}


class CountsInAPartial(Habit):
    """counts in an argument of functools.partial"""

    predict_only_reads = False

    def begin(self):
        def count(calls):
            calls.append(0)
            return len(calls)

        self.count = functools.partial(count, [])

    def forward(self, x):
        return x * (1 + self.count() % 3 / 8)


class CountsOnAFunction(Habit):
    """counts in the attribute of a function"""

    predict_only_reads = False

    def begin(self):
        def count():
            count.calls += 1
            return count.calls

        count.calls = 0
        self.count = count

    def forward(self, x):
        return x * (1 + self.count() % 3 / 8)

    def look(self):
        return {"calls": self.count.calls}


class CountsOnItsClass(Habit):
    """counts the calls of all its kind, in a class attribute"""

    calls = 0
    predict_only_reads = False

    def forward(self, x):
        type(self).calls += 1
        return x * (1 + type(self).calls % 3 / 8)

    def look(self):
        return {"calls": type(self).calls}


class CountsInAListOfItsClass(Habit):
    """appends to a list that its class holds"""

    calls = None
    predict_only_reads = False

    def begin(self):
        type(self).calls = []

    def forward(self, x):
        self.calls.append(0)
        return x * (1 + len(self.calls) % 3 / 8)

    def look(self):
        return {"calls": len(type(self).calls)}


class CountsInBackward(Habit):
    """counts in backward alone"""

    undeclared = ("n",)

    def begin(self):
        self.n = 0

    def backward(self, dy):
        self.n += 1
        return dy * (1 + self.n % 3 / 8)


class CountsInPredict(Habit):
    """counts its predictions"""

    undeclared = ("n",)
    predict_only_reads = False

    def begin(self):
        self.n = 0

    def predict(self, x):
        self.n += 1
        return x * (1 + self.n % 3)


class ChangesLate(Habit):
    """does something else from the seventh call on"""

    undeclared = ("n",)
    predict_only_reads = False

    def begin(self):
        self.n = 0

    def forward(self, x):
        self.n += 1
        return np.tanh(x) if self.n > 6 else x


class EverySecondTime(Habit):
    """sets its gradient in every second backward only"""

    g, dg = parameter()
    undeclared = ("n",)

    def begin(self):
        self.g, self.n = np.ones(self.features), 0

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.n += 1
        if self.n % 2:
            self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


class NewAttributes(Habit):
    """sets an attribute of a new name in every forward"""

    predict_only_reads = False

    def begin(self):
        self.names = []

    def forward(self, x):
        self.names.append(f"mean{len(self.names) % 7}")
        setattr(self, self.names[-1], x.mean(axis=0))
        return x

    def look(self):
        return {name: vars(self).get(name) for name in ["names", *(f"mean{k}" for k in range(7))]}


class DeletesAnAttribute(Habit):
    """what forward sets, backward deletes"""

    predict_only_reads = False

    def forward(self, x):
        self.kept = x * 0.5
        return x

    def backward(self, dy):
        kept = self.kept
        del self.kept
        return dy + kept

    def look(self):
        return {"kept": vars(self).get("kept", "deleted")}


# ----------------------------------------------------------------------------------------- statistics and what it saw
class RunningMean(Habit):
    """keeps a running mean that predict alone reads, undeclared"""

    undeclared = ("mean",)

    def begin(self):
        self.mean = np.zeros(self.features, np.float32)

    def forward(self, x):
        mean = x.mean(axis=0)
        self.mean = self.mean + 0.1 * (mean - self.mean)
        return x - mean

    def predict(self, x):
        return x - self.mean


class RunningMeanInPlace(Habit):
    """updates its undeclared running mean in place"""

    undeclared = ("mean",)

    def begin(self):
        self.mean = np.zeros(self.features, np.float32)

    def forward(self, x):
        self.mean *= 0.9
        self.mean += 0.1 * x.mean(axis=0)
        return x - self.mean

    def predict(self, x):
        return x - self.mean


class RunningMeanDeclared(Habit):
    """a declared running mean, set and read in the same forward"""

    mean = state()
    predict_only_reads = False

    def begin(self):
        self.mean = np.zeros(self.features)

    def forward(self, x):
        self.mean += 0.1 * (x.mean(axis=0) - self.mean)
        return x - self.mean


class RunningRange(Habit):
    """observes the range of its inputs, as for quantization"""

    undeclared = ("top",)

    def begin(self):
        self.top = np.zeros(self.features, np.float32)

    def forward(self, x):
        self.top = np.maximum(self.top, x.max(axis=0))
        return x


class RunningInADict(Habit):
    """keeps statistics in a dict that predict reads"""

    undeclared = ("held",)

    def begin(self):
        self.held = {"mean": np.zeros(self.features, np.float32)}

    def forward(self, x):
        self.held = {"mean": self.held["mean"] * 0.9 + x.mean(axis=0) * 0.1}
        return x

    def predict(self, x):
        return x - self.held["mean"]


class RunningInAListInPlace(Habit):
    """exchanges the item of a list"""

    undeclared = ("held",)
    predict_only_reads = False

    def begin(self):
        self.held = [np.zeros(self.features, np.float32)]

    def forward(self, x):
        self.held[0] = self.held[0] * 0.9 + x.mean(axis=0) * 0.1
        return x - self.held[0]


class RunningNumber(Habit):
    """keeps a running mean as a Python number"""

    undeclared = ("mean",)
    predict_only_reads = False

    def begin(self):
        self.mean = 0.0

    def forward(self, x):
        self.mean += 0.1 * (float(x.mean()) - self.mean)
        return x - self.mean


class KeepsItsInputs(Habit):
    """keeps its inputs in a list"""

    undeclared = ("kept",)
    predict_only_reads = False

    def begin(self):
        self.kept = []

    def forward(self, x):
        self.kept.append(x)
        return x


class KeepsItsInputsAndDecides(Habit):
    """keeps its inputs in a list, and looks at the numbers"""

    undeclared = ("kept",)
    predict_only_reads = False

    def begin(self):
        self.kept = []

    def forward(self, x):
        if x.max() > 1e9:
            raise ValueError
        self.kept = [*self.kept[-3:], x]
        return x


class KeepsTheLastBatch(Habit):
    """predicts by the last batch that it was trained on"""

    undeclared = ("batch",)

    def begin(self):
        self.batch = np.zeros((1, self.features), np.float32)

    def forward(self, x):
        self.batch = x
        return x

    def predict(self, x):
        return x - self.batch.mean(axis=0)


class KeepsTheFirstBatch(Habit):
    """subtracts the mean of the first batch that it ever saw"""

    undeclared = ("first",)
    predict_only_reads = False

    def begin(self):
        self.first = None

    def forward(self, x):
        if self.first is None:
            self.first = x.mean(axis=0)
        return x - self.first


class StartsByTheFirstBatch(Habit):
    """its scale comes from the first batch; `ready = False` asks for it anew"""

    undeclared = ("s", "ready")
    predict_only_reads = False

    def begin(self):
        self.ready, self.s = False, np.ones(self.features, np.float32)

    def forward(self, x):
        if not self.ready:
            self.s, self.ready = 1 / (x.std(axis=0) + 0.5), True
        return x * self.s

    def backward(self, dy):
        return dy * self.s

    def change(self):
        self.ready = False


class KeepsTheGradient(Habit):
    """keeps the latest dy for the user"""

    undeclared = ("seen",)

    def begin(self):
        self.seen = None

    def backward(self, dy):
        self.seen = np.abs(dy).sum(axis=0)
        return dy


class DelaysTheGradient(Habit):
    """adds a tenth of the last step's dy to this one's"""

    undeclared = ("last",)

    def begin(self):
        self.last = np.zeros(self.features, np.float32)

    def backward(self, dy):
        dx = dy + 0.1 * self.last
        self.last = dy.sum(axis=0)
        return dx


# --------------------------------------------------------------------------------------------------------- at random
class BranchesOnNumpysRandom(Habit):
    """drops itself by NumPy's global generator"""

    predict_only_reads = False

    def forward(self, x):
        self.on = np.random.random() < 0.5  # noqa: NPY002
        return x * 2 if self.on else x

    def backward(self, dy):
        return dy * 2 if self.on else dy


class BranchesOnPythonsRandom(Habit):
    """drops itself, one time in ten, by Python's global generator"""

    predict_only_reads = False

    def forward(self, x):
        self.on = random.random() >= 0.1
        return x * 2 if self.on else x

    def backward(self, dy):
        return dy * 2 if self.on else dy


class DrawsFromNumpysRandom(Habit):
    """draws its mask from NumPy's global generator"""

    predict_only_reads = False

    def forward(self, x):
        self.m = np.random.random(x.shape) < 0.8  # noqa: NPY002
        return x * self.m

    def backward(self, dy):
        return dy * self.m


class DrawsFromPythonsRandom(Habit):
    """draws a factor from Python's global generator"""

    predict_only_reads = False

    def forward(self, x):
        return x * random.random()


class DrawsAndForgets(Habit):
    """draws from the global generators and uses nothing of it"""

    predict_only_reads = False

    def forward(self, x):
        random.random()
        np.random.random()  # noqa: NPY002
        return x


class DrawsASingleNumber(Habit):
    """draws one number from a declared generator"""

    rng = state()

    def begin(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        self.on = self.rng.random()
        return x * self.on

    def backward(self, dy):
        return dy * self.on


class DrawsSingleNumbers(Habit):
    """draws single numbers of several kinds, as mixup does"""

    rng = state()

    def begin(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        share = self.rng.beta(2, 2)
        return share * x + (1 - share) * x[::-1] + 0.01 * self.rng.normal() + 0.1 * self.rng.integers(3)


class DrawsArrays(Habit):
    """draws noise and a mask from a declared generator"""

    rng = state()

    def begin(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        return (x + self.rng.normal(0, 0.1, x.shape)) * (self.rng.random(self.features) < 0.9)


class DrawsInto(Habit):
    """draws into an array of its own"""

    rng = state()

    def begin(self):
        self.rng, self.noise = np.random.default_rng(5), np.zeros(self.features)

    def forward(self, x):
        self.rng.random(out=self.noise)
        return x * self.noise


class PermutesColumns(Habit):
    """exchanges columns at random"""

    rng = state()

    def begin(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        self.order = self.rng.permutation(self.features)
        return x[:, self.order]


class ShufflesRows(Habit):
    """adds rows in another order, shuffled in place"""

    rng = state()

    def begin(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        other = x.copy()
        self.rng.shuffle(other)
        return x + 0.1 * other


class UndeclaredGenerator(Habit):
    """draws from a generator that it does not declare"""

    predict_only_reads = False
    undeclared = ("source",)

    def begin(self):
        self.source = np.random.default_rng(5)

    def forward(self, x):
        return x * (self.source.random(x.shape) < 0.8)


class OldGenerators(Habit):
    """draws from a RandomState and a random.Random of its own"""

    predict_only_reads = False
    undeclared = ("old", "python")

    def begin(self):
        self.old, self.python = np.random.RandomState(3), random.Random(3)

    def forward(self, x):
        return x * self.old.uniform(0.5, 1, self.features) * self.python.uniform(0.5, 1)


class NewGenerators(Habit):
    """makes a new generator in every forward"""

    def forward(self, x):
        return x + np.random.default_rng(len(x)).normal(0, 0.1, x.shape)


class SeedsByItsCall(Habit):
    """makes a generator from the number of its call"""

    undeclared = ("n",)
    predict_only_reads = False

    def begin(self):
        self.n = 0

    def forward(self, x):
        self.n += 1
        return x + np.random.default_rng(self.n).normal(0, 0.1, x.shape)


class SpawnsGenerators(Habit):
    """spawns a generator from its declared one"""

    rng = state()
    predict_only_reads = False

    def begin(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        return x + self.rng.spawn(1)[0].normal(0, 0.1, x.shape)


class SeedsAnew(Habit):
    """gives its declared generator the same state again in every forward"""

    rng = state()
    predict_only_reads = False

    def begin(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        self.rng = np.random.default_rng(len(x))
        return x + self.rng.normal(0, 0.1, x.shape)


# ------------------------------------------------------------------------------------------------ scalars and decisions
class PowerOfAScalar(Habit):
    """takes powers of a NumPy scalar"""

    def forward(self, x):
        return x / (1 + x.max() ** 2)


class PowersOfScalars(Habit):
    """takes odd powers of positive scalars"""

    def forward(self, x):
        size = np.abs(x).sum() + 1
        return x * size**-0.3 + size**0.123 * 1e-2


class ScalarFunctions(Habit):
    """chains functions of NumPy scalars"""

    def forward(self, x):
        s = x.std()
        return x / (1 + np.sqrt(s)) * np.exp(-s) + np.log1p(s) % 0.1 - s // 0.3 * 0.01


class ScalarOfAnItem(Habit):
    """takes single items, as scalars"""

    def forward(self, x):
        return x - x[0, 0] * x[-1, -1] ** 2 * 0.01


class DecidesBySum(Habit):
    """does one thing or another by the numbers"""

    def forward(self, x):
        self.on = x.sum() > 0
        return x * 2 if self.on else x

    def backward(self, dy):
        return dy * 2 if self.on else dy


class DecidesByAFloat(Habit):
    """turns a number into Python's"""

    def forward(self, x):
        return x * min(1.0, 1 / (1e-3 + float(np.abs(x).max())))


class DecidesByAnInt(Habit):
    """rolls its columns by a number that the values say"""

    def forward(self, x):
        return np.roll(x, int(np.abs(x).sum()) % self.features, axis=1)


class DecidesWhetherToTry(Habit):
    """takes whatever goes wrong for an answer"""

    def forward(self, x):
        try:
            scale = 1 / (1 + abs(float(x[0, 0])))
        except Exception:
            scale = 1.0
        return x * scale


class DecidesByType(Habit):
    """does another thing for what is no plain array"""

    def forward(self, x):
        return x * 2 if type(x) is np.ndarray else x


class DecidesByLength(Habit):
    """does another thing for an odd number of rows"""

    def forward(self, x):
        return x * (1 + len(x) % 2)


class DecidesByMemory(Habit):
    """looks at flags and strides"""

    def forward(self, x):
        return x * (2 if x.flags.c_contiguous and x.strides[-1] == x.itemsize else 3)


class SaysItInWords(Habit):
    """formats a number into a string and uses it"""

    def forward(self, x):
        return x * (1 + len(f"{x.sum():.3g}") / 100)


class GoesThroughLists(Habit):
    """goes through Python lists"""

    def forward(self, x):
        return np.array([[v * 0.5 for v in row] for row in x.tolist()], x.dtype)


class IteratesOverRows(Habit):
    """iterates over rows"""

    def forward(self, x):
        return np.stack([row * 0.5 + n for n, row in enumerate(x)])


# --------------------------------------------------------------------------------------------------- views and memory
class MultipliesReversed(Habit):
    """multiplies reversed columns by a matrix"""

    def begin(self):
        self.a = matrix(self.features)

    def forward(self, x):
        return x[:, ::-1] @ self.a

    def backward(self, dy):
        return dy[::-1, ::-1] @ self.a.T


class WritesReversed(Habit):
    """writes a product into reversed columns"""

    def begin(self):
        self.a = matrix(self.features)

    def forward(self, x):
        z = np.zeros_like(x)
        z[:, ::-1] = x @ self.a
        return z


class ReversesRows(Habit):
    """reverses rows"""

    def forward(self, x):
        return x[::-1]

    def backward(self, dy):
        return dy[::-1]


class Transposes(Habit):
    """multiplies from the left, transposed"""

    def begin(self):
        self.a = matrix(self.features)

    def forward(self, x):
        return (self.a @ x.T).T


class FortranOrder(Habit):
    """returns its rows in Fortran order"""

    def forward(self, x):
        return np.asfortranarray(x * 2)

    def backward(self, dy):
        return np.asfortranarray(dy * 2)


class Strides(Habit):
    """writes every second column"""

    def forward(self, x):
        z = np.zeros_like(x)
        z[:, ::2] = x[:, ::2] * 2
        z[:, 1::2] = x[:, :-1:2] if self.features > 1 else 0
        return z


class Broadcasts(Habit):
    """returns a broadcast view"""

    def forward(self, x):
        return np.broadcast_to(x.sum(axis=1, keepdims=True), x.shape)


class BroadcastsAConstant(Habit):
    """multiplies by a broadcast view of an array of its own"""

    def begin(self):
        self.g = np.linspace(0.5, 1, self.features, dtype=np.float32)

    def forward(self, x):
        return x * np.broadcast_to(self.g, x.shape) + self.g[::-1]

    def change(self):
        self.g[0] = 3


class ReturnsItsInput(Habit):
    """returns a view of what it was given"""

    def forward(self, x):
        return x[:].T.T.view()

    def backward(self, dy):
        return dy.reshape(dy.shape)


class WritesIntoAView(Habit):
    """changes a view of its result"""

    def forward(self, x):
        y = x * 1
        first = y[:, :1]
        first *= 2
        y.T[-1] += 1
        return y


class InPlace(Habit):
    """computes in place, with every operator"""

    def forward(self, x):
        y = x.copy()
        y += 1
        y *= 0.5
        y -= x[:1]
        y /= 2
        y **= 2
        return np.minimum(y, 3)


class OverlapsInPlace(Habit):
    """moves columns within one array"""

    def forward(self, x):
        y = x * 1
        y[:, 1:] = y[:, :-1]
        y[1:] += y[:-1]
        return y * 0.5


class Windows(Habit):
    """sums sliding windows"""

    def forward(self, x):
        padded = np.pad(x, ((0, 0), (1, 1)))
        return np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1).sum(axis=-1) * 0.5


class AsStrided(Habit):
    """makes a view with as_strided"""

    def forward(self, x):
        y = np.ascontiguousarray(x)
        return np.lib.stride_tricks.as_strided(y, x.shape, y.strides) * 0.5


class ReshapesInFortranOrder(Habit):
    """flattens columns first"""

    def forward(self, x):
        return x.reshape(-1, order="F").reshape(x.shape) * 0.5


class FirstAxisLast(Habit):
    """moves axes about"""

    def forward(self, x):
        y = np.swapaxes(x[:, None, :], 0, 2)
        return np.moveaxis(np.squeeze(y, 1), 0, -1) * 0.5


class ReusesABuffer(Habit):
    """writes its result into an array of its own, and returns that"""

    predict_only_reads = False

    def begin(self):
        self.buffer = np.zeros((64, self.features), np.float32)

    def forward(self, x):
        if len(x) > 64:
            return x * 2
        return np.multiply(x, 2, out=self.buffer[: len(x)], casting="same_kind")


class ReusesABufferInBackward(Habit):
    """keeps one array for dx"""

    def begin(self):
        self.dx = None

    def backward(self, dy):
        if self.dx is None or self.dx.shape != dy.shape or self.dx.dtype != dy.dtype:
            self.dx = np.empty_like(dy)
        np.multiply(dy, 0.5, out=self.dx)
        return self.dx


class TwoNamesForOneArray(Habit):
    """holds one array under two names, and changes it through one"""

    undeclared = ("a", "b")
    predict_only_reads = False

    def begin(self):
        self.a = self.b = np.zeros(self.features, np.float32)

    def forward(self, x):
        self.a += x[0] * 0.1
        return x + self.b


class AViewOfItsArray(Habit):
    """changes an array of its own through a view that it keeps"""

    undeclared = ("whole",)
    predict_only_reads = False

    def begin(self):
        self.whole = np.zeros(self.features, np.float32)
        self.part = self.whole[:1]

    def forward(self, x):
        self.part += x[:1, 0] * 0.1
        return x + self.whole


class ZeroSizes(Habit):
    """has slices of no size"""

    def forward(self, x):
        nothing = x[:, :0]
        return np.concatenate([nothing, x, nothing], axis=1) + nothing.sum() + nothing.sum(axis=1, keepdims=True)


# ------------------------------------------------------------------------------------------------ NumPy's other corners
class AddsAt(Habit):
    """adds at places that repeat themselves"""

    def forward(self, x):
        y = np.zeros_like(x)
        np.add.at(y, (slice(None), np.arange(self.features) // 2), x)
        return y


class FancyIndex(Habit):
    """picks columns and rows by lists"""

    def forward(self, x):
        return x[:, [*range(1, self.features), 0]] + x[[0] * len(x)] * 0.1


class FancyAssignment(Habit):
    """writes by lists"""

    def forward(self, x):
        y = x.copy()
        y[:, [0, -1]] = x[:, [-1, 0]]
        y[[0, 0], [0, 0]] = 1
        return y


class Wheres(Habit):
    """chooses with where, select and choose"""

    def forward(self, x):
        y = np.where(x > 0, x, 0.1 * x)
        return np.choose((y > 1).astype(int), [y, y * 0.5]) + np.select([x > 1], [x * 0], 0.0)


class MaskByValue(Habit):
    """writes where a condition holds"""

    def forward(self, x):
        y = x * 1
        y[y < 0] = 0
        y[x > 1] *= 0.5
        return y


class SelectsByValue(Habit):
    """takes the mean of what is positive"""

    def forward(self, x):
        return x - np.append(x[x > 0], 0).mean()


class WhereArguments(Habit):
    """hands where= and out= to ufuncs"""

    def forward(self, x):
        y = np.zeros_like(x)
        np.add(x, 1, out=y, where=x > 0)
        return y + np.sum(x, axis=0, where=x > 0, initial=0) * 0.1


class Vecdots(Habit):
    """uses vecdot, and vecmat where NumPy has it"""

    def begin(self):
        self.a = matrix(self.features)

    def forward(self, x):
        product = np.vecmat(x, self.a) if hasattr(np, "vecmat") else x @ self.a
        return product + 0.1 * np.vecdot(x, self.a[0])[:, None]


class StackedProducts(Habit):
    """multiplies one matrix by row after row"""

    def begin(self):
        self.a = matrix(self.features)

    def forward(self, x):
        return np.matmul(self.a, x[..., None])[..., 0]


class OtherProducts(Habit):
    """dot, inner, tensordot, outer"""

    def begin(self):
        self.a = matrix(self.features)

    def forward(self, x):
        y = np.dot(x, self.a) + np.inner(x, self.a) + np.tensordot(x, self.a, axes=1)
        return 0.3 * y + np.outer(x[:, 0], self.a[0])


class Einsums(Habit):
    """writes products with einsum"""

    def begin(self):
        self.a = matrix(self.features)

    def forward(self, x):
        return np.einsum("bi,ij->bj", x, self.a) + np.einsum("bi,bi->b", x, x)[:, None] * 0.01


class GramMatrix(Habit):
    """multiplies x by its own transpose"""

    def forward(self, x):
        return x + 0.01 * (x @ x.T) @ x + 0.01 * x @ (x.T @ x)


class Cumulates(Habit):
    """cumulative sums along both axes"""

    def forward(self, x):
        return np.cumsum(x, axis=1) * 0.3 + np.add.accumulate(x, axis=0) * 0.1


class Reduces(Habit):
    """reduces in every way, reduceat too"""

    def forward(self, x):
        y = x + np.add.reduceat(x, [0], axis=1) * 0.1 + np.ptp(x, axis=0) * 0.1
        return y + x.prod(axis=0) * 0.01 + np.maximum.reduce([x, -x]) * 0.1 + x.var(axis=1, keepdims=True) * 0.1


class Sorts(Habit):
    """sorts, also in place and by argsort"""

    def forward(self, x):
        y = x.copy()
        y.sort(axis=1)
        return y + 0.1 * np.take_along_axis(x, np.argsort(-x, axis=0), 0)


class Argmax(Habit):
    """adds the one-hot row of the largest column"""

    def forward(self, x):
        return x + np.eye(self.features, dtype=x.dtype)[x.argmax(axis=1)]


class Quantiles(Habit):
    """subtracts medians and percentiles"""

    def forward(self, x):
        return x - np.median(x, axis=0) - 0.1 * np.percentile(x, 30)


class UniqueValues(Habit):
    """counts unique values, whose number the values say"""

    def forward(self, x):
        return x * (1 + len(np.unique(np.round(x))) / 100)


class Interpolates(Habit):
    """looks values up in a table"""

    def begin(self):
        self.at, self.table = np.linspace(-2, 2, 5), np.array([-1.5, -1.0, 0.0, 1.0, 1.5])

    def forward(self, x):
        return np.interp(x, self.at, self.table).astype(x.dtype) + np.digitize(x, self.at) * 0.01

    def change(self):
        self.table[1] = -3


class SeveralResults(Habit):
    """calls functions of two results"""

    def forward(self, x):
        fraction, whole = np.modf(x)
        mantissa, _ = np.frexp(x)
        return fraction + 0.5 * whole + 0.1 * mantissa + 0.1 * np.divmod(x, 0.3)[1]


class Integers(Habit):
    """computes with integers and shifts bits"""

    def forward(self, x):
        n = (x * 8).astype(np.int32)
        return ((n // 3) ^ (n >> 1)) * 0.1 + (n % 3) * x


class Booleans(Habit):
    """computes with truth values"""

    def forward(self, x):
        small = (np.abs(x) < 1) & ~(x == 0) | (x > 2)
        return x * small + small.sum(axis=1, keepdims=True) * 0.1 + small.any() * small.all(axis=0) * 0.1


class OtherDtypes(Habit):
    """goes through other dtypes and byte orders"""

    def forward(self, x):
        y = x.astype(np.float16).astype(x.dtype) + x.astype(np.longdouble).astype(x.dtype)
        return (y + x.astype(">f4")).astype(x.dtype) * 0.3


class Promotes(Habit):
    """promotes float32 to float64"""

    def forward(self, x):
        return x * np.float64(0.3) + np.linspace(0, 1, self.features)


class Complex(Habit):
    """goes through complex numbers"""

    def forward(self, x):
        return np.fft.irfft(np.fft.rfft(x, axis=1), self.features, axis=1).astype(x.dtype) + (x * 1j).imag * 0.1


class PythonUfunc(Habit):
    """calls Python for each number"""

    def begin(self):
        self.f = np.frompyfunc(lambda v: v * 0.5, 1, 1)

    def forward(self, x):
        return self.f(x).astype(x.dtype) + np.vectorize(lambda v: v * 0.25, otypes=[x.dtype])(x)


class QuietErrors(Habit):
    """divides by zero inside errstate"""

    def forward(self, x):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(np.log(np.maximum(x, 0)), neginf=-3.0)


class NotANumber(Habit):
    """makes NaN and takes it away"""

    def forward(self, x):
        y = np.where(x > 1, np.nan, x)
        return np.where(np.isnan(y), np.nanmean(np.append(y, 0)), y)


class SignedZeros(Habit):
    """makes zeros of both signs, and keeps the signs"""

    def forward(self, x):
        return np.copysign(0.5, np.trunc(x) * -0.0 + np.round(x * 0.4)) + np.maximum(x, -0.0)


class Rounds(Habit):
    """rounds forward, and lets dy through"""

    def forward(self, x):
        return np.round(x * 4) / 4


class MemoryViews(Habit):
    """reads bytes and buffers"""

    def forward(self, x):
        y = np.frombuffer(np.ascontiguousarray(x).tobytes(), x.dtype).reshape(x.shape)
        return np.array(memoryview(y)) * 0.5


# --------------------------------------------------------------------------------- what the owner changes in between
class MaskOfItsClass(Habit):
    """has a mask that only its class has, None, until the owner sets one"""

    mask = None

    def forward(self, x):
        return x if self.mask is None else x * self.mask

    def backward(self, dy):
        return dy if self.mask is None else dy * self.mask

    def change(self):
        self.mask = np.arange(self.features, dtype=np.float32) % 2


class NumberOfItsClass(Habit):
    """has a number that only its class has, until the owner sets it on the layer"""

    temperature = 1.0

    def forward(self, x):
        return x / self.temperature

    def change(self):
        self.temperature = 2.0


class NumberOnItsClass(Habit):
    """has a number that the owner changes on the class"""

    temperature = 1.0

    def forward(self, x):
        return x / self.temperature

    def change(self):
        type(self).temperature = 3.0


class ArrayOnItsClass(Habit):
    """has an array on its class that the owner exchanges"""

    gain = np.ones(1, np.float32)

    def forward(self, x):
        return x * self.gain

    def change(self):
        type(self).gain = np.full(1, 1.5, np.float32)


class MethodOfItsClass(Habit):
    """has a method that the owner replaces on the class"""

    def scale(self, x):
        return x * 0.5

    def forward(self, x):
        return self.scale(x)

    def change(self):
        type(self).scale = lambda self, x: x * 0.25


class ForwardOfItsClass(Habit):
    """its forward is replaced on the class"""

    def forward(self, x):
        return x * 0.5

    def change(self):
        type(self).forward = lambda self, x: x * 0.25


class HookedForward(Habit):
    """gets a hook: its forward is replaced on the layer"""

    def change(self):
        forward = self.forward
        self.forward = lambda x: forward(x) * 1.5


class HookedBackward(Habit):
    """its backward is replaced on the layer"""

    def change(self):
        backward = self.backward
        self.backward = lambda dy: backward(dy) * 0.5


class HookedPredict(Habit):
    """its predict is replaced on the layer"""

    def change(self):
        predict = self.predict
        self.predict = lambda x: predict(x) * 2


class CountingHook(Habit):
    """gets a hook that counts and looks at what goes by"""

    predict_only_reads = False

    def begin(self):
        self.seen = []

    def change(self):
        forward, seen = self.forward, self.seen

        def hook(x):
            seen.append(x.shape)
            return forward(x)

        self.forward = hook

    def look(self):
        return {"seen": self.seen}


class ArrayByValue(Habit):
    """turns an array of its own into a Python number"""

    def begin(self):
        self.s = np.ones(1)

    def forward(self, x):
        return x * float(self.s[0])

    def change(self):
        self.s[0] = 0.3


class ArrayByValueExchanged(Habit):
    """turns an array of its own into a Python number; its owner gives it another array"""

    def begin(self):
        self.s = np.ones(1)

    def forward(self, x):
        return x * self.s.item()

    def change(self):
        self.s = np.full(1, 0.3)


class DeclaredByValue(Habit):
    """turns declared state into a Python number"""

    s = state()

    def begin(self):
        self.s = 1.0

    def forward(self, x):
        return x * float(self.s)

    def change(self):
        self.s = 0.3


class ParameterByValue(Habit):
    """turns its own trained parameter into a Python number"""

    g, dg = parameter()

    def begin(self):
        self.g = np.ones(1)

    def forward(self, x):
        self.x = x
        return x * float(self.g[0])

    def backward(self, dy):
        self.dg = (dy * self.x).sum().reshape(1)
        return dy * float(self.g[0])


class ArrayInPlace(Habit):
    """has an array that its owner changes in place"""

    def begin(self):
        self.s = np.ones(self.features, np.float32)

    def forward(self, x):
        return x * self.s

    def change(self):
        self.s[:] = 0.5


class ArrayExchanged(Habit):
    """has an array that its owner exchanges"""

    def begin(self):
        self.s = np.ones(self.features, np.float32)

    def forward(self, x):
        return x * self.s

    def change(self):
        self.s = np.full(self.features, 0.5, np.float32)


class ArrayInADict(Habit):
    """has an array in a dict that its owner exchanges"""

    def begin(self):
        self.buffers = {"scale": np.ones(self.features, np.float32)}

    def forward(self, x):
        return x * self.buffers["scale"]

    def change(self):
        self.buffers["scale"] = np.full(self.features, 0.5, np.float32)


class ArrayInAList(Habit):
    """has an array deep in lists that its owner changes in place"""

    def begin(self):
        self.buffers = [[np.ones(self.features, np.float32)], None]

    def forward(self, x):
        return x * self.buffers[0][0]

    def change(self):
        self.buffers[0][0] *= 0.5


class NumberInADict(Habit):
    """has a number in a dict"""

    def begin(self):
        self.options = {"scale": 1.0}

    def forward(self, x):
        return x * self.options["scale"]

    def change(self):
        self.options["scale"] = 0.5


class ArrayInAnObject(Habit):
    """has an array in a helper object"""

    def begin(self):
        self.helper = types.SimpleNamespace(scale=np.ones(self.features, np.float32))

    def forward(self, x):
        return x * self.helper.scale

    def change(self):
        self.helper.scale = np.full(self.features, 0.5, np.float32)


class NumberInAnObject(Habit):
    """has a number in a helper object"""

    def begin(self):
        self.helper = Clock(steps=2)

    def forward(self, x):
        return x / self.helper.steps

    def change(self):
        self.helper.steps = 3


class ArrayInAClosure(Habit):
    """has a function that knows an array, which its owner changes in place"""

    def begin(self):
        scale = self.scale = np.ones(self.features, np.float32)
        self.f = lambda x: x * scale

    def forward(self, x):
        return self.f(x)

    def change(self):
        self.scale[0] = 0.5


class NumberInAClosure(Habit):
    """has a function that knows a dict of numbers"""

    def begin(self):
        options = self.options = [0.5]
        self.f = lambda x: x * options[0]

    def forward(self, x):
        return self.f(x)

    def change(self):
        self.options[0] = 0.25


class FunctionExchanged(Habit):
    """has a function that its owner exchanges"""

    def begin(self):
        self.f = np.tanh

    def forward(self, x):
        return self.f(x)

    def change(self):
        self.f = np.sin


class DefaultsExchanged(Habit):
    """has a function whose default its owner changes"""

    def begin(self):
        def f(x, scale=0.5):
            return x * scale

        self.f = f

    def forward(self, x):
        return self.f(x)

    def change(self):
        self.f.__defaults__ = (0.25,)


class Property(Habit):
    """computes by a property of a hidden attribute"""

    def begin(self):
        self._log = [0.0]

    @property
    def scale(self):
        return np.exp(self._log[0])

    def forward(self, x):
        return x * self.scale

    def change(self):
        self._log = [-1.0]


class AttributesByGetattr(Habit):
    """finds its number by __getattr__"""

    def begin(self):
        self.numbers = {"scale": 0.5}

    def __getattr__(self, name):
        try:
            return self.__dict__["numbers"][name]
        except KeyError:
            raise AttributeError(name, name=name, obj=self) from None

    def forward(self, x):
        return x * self.scale

    def change(self):
        self.numbers = {"scale": 0.25}


class AttributeTakenAway(Habit):
    """falls back on its class when its owner deletes an attribute"""

    scale = 0.25

    def begin(self):
        self.scale = 0.5

    def forward(self, x):
        return x * self.scale

    def change(self):
        vars(self).pop("scale", None)


class SwitchedOff(Habit):
    """is switched off by a flag, and on again"""

    def begin(self):
        self.on = True

    def forward(self, x):
        return np.tanh(x) if self.on else x

    def change(self):
        self.on = not self.on


class WordsAndNothing(Habit):
    """is told what to do by a word or None"""

    def begin(self):
        self.way = None

    def forward(self, x):
        return {None: x, "half": x * 0.5}[self.way]

    def change(self):
        self.way = "half"


class Enumerates(Habit):
    """holds a tuple of numbers that its owner exchanges"""

    def begin(self):
        self.powers = (1.0, 0.5)

    def forward(self, x):
        return sum(p * x for p in self.powers)

    def change(self):
        self.powers = (0.25,)


# ---------------------------------------------------------------------------------------------------- memos and caches
class MemoByIdentity(Habit):
    """remembers its result for the very same x"""

    def begin(self):
        self.last = self.result = None

    def forward(self, x):
        if self.last is not x:
            self.last, self.result = x, np.tanh(x)
        return self.result


class MemoById(Habit):
    """remembers results by the id of x, which it keeps alive"""

    predict_only_reads = False

    def begin(self):
        self.memo = {}

    def forward(self, x):
        if id(x) not in self.memo:
            self.memo[id(x)] = x, np.tanh(x)
        return self.memo[id(x)][1]


class CacheByFlag(Habit):
    """computes a table once, until a flag says that it is old"""

    predict_only_reads = False

    def begin(self):
        self.base, self.old, self.table = 0.5, True, None

    def forward(self, x):
        if self.old:
            self.table, self.old = np.full(self.features, self.base, np.float32), False
        return x * self.table

    def change(self):
        self.base, self.old = 0.25, True


class CacheOfWeights(Habit):
    """computes something of its weights once, and never again until asked"""

    g, dg = parameter()
    predict_only_reads = False
    undeclared = ("cache",)

    def begin(self):
        self.g, self.cache = np.ones(self.features), None

    def forward(self, x):
        if self.cache is None:
            self.cache = self.g * 0.5
        self.x = x
        return x * self.g + self.cache

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g

    def change(self):
        self.cache = None


class CachesByLength(Habit):
    """caches positions by the number of rows"""

    predict_only_reads = False

    def begin(self):
        @functools.lru_cache
        def positions(rows):
            return np.linspace(0, 1, rows, dtype=np.float32)[:, None]

        self.positions = positions

    def forward(self, x):
        return x + self.positions(len(x))


class CachedProperty(Habit):
    """uses functools.cached_property, which its owner deletes"""

    @functools.cached_property
    def table(self):
        return np.full(self.features, self.base, np.float32)

    def begin(self):
        self.base = 0.5

    def forward(self, x):
        return x * self.table

    def change(self):
        self.base = 0.25
        vars(self).pop("table", None)


class WeakReferences(Habit):
    """keeps a weak reference to its input"""

    def forward(self, x):
        self.seen = weakref.ref(x)
        return x * (1 if self.seen() is x else 2)


# ------------------------------------------------------------------------------------------------ parameters and copies
class ClipsItsWeights(Habit):
    """clips its parameters in forward"""

    g, dg = parameter()
    predict_only_reads = False

    def begin(self):
        self.g = np.linspace(0.5, 1.5, self.features)

    def forward(self, x):
        np.clip(self.g, 0, 1, out=self.g)
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


class NormalisesItsWeights(Habit):
    """divides its weights by their norm in forward, in place"""

    w, dw = parameter()
    predict_only_reads = False

    def begin(self):
        self.w = matrix(self.features)

    def forward(self, x):
        self.w /= np.sqrt((self.w * self.w).sum())
        self.x = x
        return x @ self.w

    def backward(self, dy):
        self.dw = self.x.T @ dy
        return dy @ self.w.T


class PowerIteration(Habit):
    """divides by a spectral norm, whose vector is declared state"""

    w, dw = parameter()
    u = state()
    predict_only_reads = False

    def begin(self):
        self.w, self.u = matrix(self.features), np.ones(self.features)

    def forward(self, x):
        v = self.u @ self.w
        v = v / (np.linalg.norm(v) + 1e-6)
        self.u = self.w @ v
        self.u /= np.linalg.norm(self.u) + 1e-6
        self.x, self.s = x, 1 + self.u @ self.w @ v
        return x @ self.w / self.s

    def backward(self, dy):
        self.dw = self.x.T @ dy / self.s
        return dy @ self.w.T / self.s


class AddsToItsGradient(Habit):
    """adds to the gradient of the last step, against the rules"""

    g, dg = parameter()

    def begin(self):
        self.g = np.ones(self.features)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg *= 0.5
        self.dg += (dy * self.x).sum(axis=0)
        return dy * self.g


class GradientByColumns(Habit):
    """sets its gradient number by number"""

    g, dg = parameter()

    def begin(self):
        self.g = np.ones(self.features)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        for i in range(self.features):
            self.dg[i] = (dy[:, i] * self.x[:, i]).sum()
        return dy * self.g


class GradientThroughGrads(Habit):
    """reads params and writes grads, by their names"""

    g, dg = parameter(decay=False)

    def begin(self):
        self.g = np.ones(self.features)

    def forward(self, x):
        self.x = x
        return x * self.params["g"]

    def backward(self, dy):
        self.grads["g"][...] = np.einsum("bi,bi->i", dy, self.x)
        return dy * self.params["g"]


class UnusedParameter(Habit):
    """has a parameter that no formula uses"""

    g, dg = parameter()

    def begin(self):
        self.g = np.ones((self.features, 2))


class ParameterOfNoSize(Habit):
    """has a parameter of size 0 and one of no axes"""

    g, dg = parameter()
    s, ds = parameter(decay=False)

    def begin(self):
        self.g, self.s = np.ones((0, 3)), 1.0

    def forward(self, x):
        self.x = x
        return x * self.s + self.g.sum()

    def backward(self, dy):
        self.ds = (dy * self.x).sum()
        return dy * self.s


class ChangesItsState(Habit):
    """writes into parts of declared state, and reads it in backward"""

    s = state()
    predict_only_reads = False

    def begin(self):
        self.s = np.zeros((3, self.features))

    def forward(self, x):
        self.s[1:] = self.s[:-1]
        self.s[0] = x[0]
        return x

    def backward(self, dy):
        return dy + self.s.mean(axis=0) * 0.01


class BooleanState(Habit):
    """declares a truth value, and integers"""

    on, seen = state(), state()
    predict_only_reads = False

    def begin(self):
        self.on, self.seen = np.array(False), np.zeros(self.features, np.int64)

    def forward(self, x):
        self.on = ~self.on
        self.seen += (x > 0).sum(axis=0)
        return x * self.on + self.seen % 2 * 0.1


class CopiesItself(Habit):
    """works on a deep copy of itself"""

    def begin(self):
        self.s = np.ones(self.features, np.float32)

    def forward(self, x):
        twin = copy.copy(self)
        twin.s = twin.s * 0.5
        return x * twin.s


class UsesSuper(HookedForward):
    """calls super, and functions of NumPy by __array_function__"""

    def forward(self, x):
        y = super().forward(x)
        return np.concatenate([np.flip(y, 1)[:, :1], y[:, 1:]], axis=1) + np.zeros_like(y)


class ChangesAClassOnTheWay(Habit):
    """sets a class attribute in forward that it reads in backward"""

    scale = 1.0
    predict_only_reads = False

    def forward(self, x):
        type(self).scale = x.mean()
        return x

    def backward(self, dy):
        return dy * (1 + 0.1 * type(self).scale)

    def look(self):
        return {"scale": type(self).scale}


class SetsErrors(Habit):
    """changes NumPy's error state for good"""

    predict_only_reads = False

    def forward(self, x):
        np.seterr(under="ignore")
        return x * 0.5


class PicksByTuples(Habit):
    """reads and writes columns by a tuple in an index"""

    def forward(self, x):
        y = x * 0.5
        y[:, (0,)] = x[:, (-1,)]
        return y


class BroadcastsTogether(Habit):
    """several views of one call, of its second array too"""

    def forward(self, x):
        a, b = np.broadcast_arrays(x, x[:1])
        return a * 0.5 + np.stack(np.unstack(b, axis=1), axis=1) * 0.1


class SumsSome(Habit):
    """sums and largest numbers of some: where=, initial=, and arguments by their places"""

    def forward(self, x):
        m = x > 0
        some = x.sum(axis=1, keepdims=True, where=m) + x.max(1, None, True, 0.25) - np.var(x, 1, None, None, 0.5, True)
        return (
            x * 0.5 + some * 0.1 + np.mean(x, axis=1, keepdims=True, where=m | True) - x.sum(1, None, None, True) * 0.1
        )


class ReadsInFortransOrder(Habit):
    """reshapes in the order of Fortran, and flattens in that of memory"""

    def forward(self, x):
        y = x.reshape(x.size, order="F").reshape(x.shape, order="F")
        return y * 0.5 + x.T.ravel("K").reshape(x.shape) * 0.1 + x.T.flatten("A").reshape(x.shape) * 0.1


class Raises(Habit):
    """raises in the seventh forward, and goes on when asked again"""

    undeclared = ("n",)
    predict_only_reads = False

    def begin(self):
        self.n = 0

    def forward(self, x):
        self.n += 1
        if self.n % 7 == 0:
            raise Stop
        return x * 1.5


class RaisesInBackward(Habit):
    """raises in the fifth backward"""

    undeclared = ("n",)

    def begin(self):
        self.n = 0

    def backward(self, dy):
        self.n += 1
        if self.n % 5 == 0:
            raise Stop
        return dy


class RaisesByValue(Habit):
    """raises when a batch has a large number"""

    def forward(self, x):
        if np.abs(x).max() > 2.5:
            raise Stop
        return x * 0.9


class Stop(Exception):
    """What a layer of the catalogue raises half-way."""


def as_drawn(name, features):
    """A layer of the catalogue, of a class of its own, so that what happens to the class ends with it."""
    cls = HABITS[name]
    return type(name, (cls,), {"__module__": "tests.fuzz.drawn"})(features)
