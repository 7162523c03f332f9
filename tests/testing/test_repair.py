"""Which one change makes a gradient right, which way it leaves out, and what is said if neither is found."""

import inspect
import linecache
import textwrap

import numpy as np
import pytest

from minigrad import Dense, Layer, MeanSquaredError, Residual, Tanh
from minigrad.functions import sigmoid
from minigrad.testing import GradientError, check_layer, check_loss
from minigrad.testing.naming import diagnosis
from minigrad.testing.naming.methods import why_unchanged
from tests.planted.families import fresh, losses, sequences
from tests.planted.mutation import defined


def error_of(cls, old, new):
    """The error of a right class in whose source `old` has been replaced by `new`."""
    module, source = sequences if cls.__module__ == sequences.__name__ else fresh, _source(cls)
    assert old in source
    wrong = defined(
        source.replace(old, new), {**vars(module), "__name__": f"{cls.__name__} of test_repair"}, cls.__name__
    )
    with pytest.raises(GradientError) as caught:
        check_layer(wrong(*cls.made_with), cls.checked_at(np.random.default_rng(0)) if cls.checked_at else None)
    return caught.value


def _source(cls):
    source = inspect.getsource(cls)
    return source[source.index("class ") :]


@pytest.mark.parametrize(
    ("cls", "old", "new", "words"),
    [
        (sequences.Lstm, "= dc * g, dc * before, dc * i", "= dc * i, dc * before, dc * g", "exchanged"),
        (sequences.Recurrent, "dz = (dy[:, t] + dh) * (1", "dz = dy[:, t] * (1", "back through time"),
        (sequences.Recurrent, "dU += self.h[t].T @ dz", "dU += self.h[t + 1].T @ dz", "a step too late"),
        (sequences.Recurrent, "for t in reversed(range(dy.shape[1]))", "for t in range(dy.shape[1])", "order of"),
        (fresh.Leaky, "dz[:, t] = dh * self.a * (self.z[:, t] > 0)", "dz[:, t] = dh * self.a * (dh > 0)", "mask"),
        (fresh.Causal, "dx[:, window] += dy", "dx[:, window] = dy", "each pass of the loop"),
    ],
)  # fmt: skip
def test_the_line_that_was_right_is_found_again(cls, old, new, words):
    error = error_of(cls, old, new)
    assert words in error.diagnosis
    assert old in error.right and "tried" in error.right
    assert new in error.written and "line" in error.written


@pytest.mark.parametrize(
    ("cls", "old", "new", "words"),
    [
        (sequences.Attention, " + dv @ self.V.T", "", "`x @ self.V`"),
        (fresh.Running, "dy - dy.mean(axis=0) - self.n * (dy * self.n).mean(axis=0)", "dy", "constants"),
        (fresh.Pooled, "self.p[..., None] * dy[:, None] + dk", "dk", "what `x` does"),
    ],
)  # fmt: skip
def test_a_way_that_is_left_out_is_told(cls, old, new, words):
    assert words in error_of(cls, old, new).diagnosis


@pytest.mark.parametrize(
    ("forward", "backward", "words"),
    [
        ("r = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)\nself.r, self.u = r, (x - x.mean(-1, keepdims=True)) * r"
         "\nreturn self.u", "return self.r * (dy - dy.mean(0) - self.u * (dy * self.u).mean(0))", "at 2 places"),
        ("s = np.sqrt(x.var(axis=0, ddof=1) + 1e-5)\nself.s, self.u = s, (x - x.mean(axis=0)) / s\nreturn self.u",
         "return (dy - dy.mean(axis=0) - self.u * (dy * self.u).mean(axis=0)) / self.s", "another forward"),
        ("self.u = np.tanh(x).astype(np.float16).astype(x.dtype)\nreturn np.tanh(x)", "return dy * (1 - self.u**2)",
         "float16"),
        ("self.x = x\nreturn np.sin(np.pi * x)", "return dy * 3.1416 * np.cos(3.1416 * self.x)", "right to about"),
        ("self.x = x\nreturn np.where(x > 1, x * x, 2 * x - 1)",
         "return dy * np.where(self.x > 1, 2 * self.x, np.where(self.x < 1, 2, 0))", "where x is exactly 1"),
        ("return np.cumsum(x, axis=1)", "return np.cumsum(dy, axis=1)", "from the end"),
        ("self.h = x.reshape(len(x), 3, 2).swapaxes(1, 2).reshape(x.shape)\nreturn 2 * self.h",
         "return (2 * dy).reshape(len(dy), 2, 3).reshape(dy.shape)", "order of axes"),
        ("self.y = np.tanh(x)\nreturn self.y", "return dy * (1 - y**2)", "not the layer's: `self.y` belongs there"),
        ("y = np.tanh(x)\nreturn y", "return dy * (1 - y**2)", "self.y = y in forward;  return dy * (1 - self.y ** 2)"),
        ("y = np.tanh(x)\nreturn y", "return dy * (1 - self.y**2)", "forward does not keep `y`, which backward reads"),
        ("self.y = tanh(x)\nreturn self.y", "return dy * (1 - self.y**2)", "there is no `tanh`: `np.tanh` belongs"),
        ("self.y = self.tanh(x)\nreturn self.y", "return dy * (1 - self.y**2)", "there is no `self.tanh`: `np.tanh`"),
        ("self.y = np.Tanh(x)\nreturn self.y", "return dy * (1 - self.y**2)", "there is no `np.Tanh`: `np.tanh`"),
        ("self.y = np.softmax(x)\nreturn self.y", "return dy", "NumPy has no `softmax`, but minigrad: `from minigr"),
        ("self.y = softmax(x)\nreturn self.y", "return dy", "`from minigrad.functions import softmax` is missing"),
        ("return np.tanh(3 * x)", "return 3 * dy * (1 - self.y**2)", "`self.y = np.tanh(3 * x)` is missing there"),
        ("return x", "return self.half(dy)\n\ndef half(self, dy):\n    return dy", "`def half` is indented too far"),
        ("self.k = k\nreturn 3 * k * x", "return 3 * dy * self.k", "forward raises NameError"),
        ("self.x = x\nreturn max(x, 0)", "return dy * (self.x > 0)", "np.maximum(x, 0)   (tried: then it is right"),
        ("if x > 0:\n    return x\nreturn 0 * x", "return dy", "np.where(…, …, …) decides for each"),
        ("return 2 * x", "if len(dy) > 1:\n    raise KeyError\nreturn dy * dy", "for one row it runs, and is wrong"),
        ("self.y = sigmoid(x)\nreturn self.y", "return dy * self.y * 1 - self.y", "parentheses are missing"),
        ("self.y = np.tanh(x)\nreturn 3 * (x + self.y)", "return dy * 3 + dy * (1 - self.y**2)",
         "parentheses: `3` is a factor of `dy * (1 - self.y ** 2)` too"),
        ("self.y = sigmoid(x)\nreturn self.y", "return dy * dy * (1 - dy)", "y is the value of the function, `self.y`"),
        ("self.z = x\nreturn np.logaddexp(0, x)", "return dy * self.z", "`sigmoid(self.z)` belongs"),
        ("self.x = x\nreturn x * (x * x).sum(axis=0)",
         "s = dy * self.x\nreturn dy * (self.x**2).sum(axis=0) + 2 * self.x * s", "the sum over the rows is missing"),
        ("self.x = x\nreturn np.where(x > 0, x, 0.1 * x)", "return dy * np.where(self.x > 0, 1, 0.1)",
         "np.where(self.x > 0, 1, 0.1).astype(dy.dtype)   (tried: then it is right)"),
        ("y = np.empty_like(x)\ny[1:] = x[1:]\nreturn y", "dx = dy.copy()\ndx[0] = 0\nreturn dx", "y depends on what"),
        ("return 3 * x", "return 3.0 * dy.astype(int)", "`dy.astype(int)` leaves whole numbers: `dy` belongs there"),
        ("self.x = x\nreturn np.where(x > 6, x, np.log1p(np.exp(np.minimum(x, 6))))", "return dy * sigmoid(self.x)",
         "v2 = np.exp(np.minimum(x, 6));"),
        ("return x[:, :3] + 2 * x[:, 3:]", "for i in range(2):\n    dx = np.zeros((len(dy), 6), dy.dtype)\n"
         "    dx[:, 3 * i:3 * i + 3] += (i + 1) * dy\nreturn dx", "begins `dx` anew"),
    ],
)  # fmt: skip
def test_the_slip_of_a_few_lines_is_named(forward, backward, words):
    methods = [textwrap.indent(each, "        ") for each in (forward, backward)]
    source = "class Few(Layer):\n    rows_together = True\n\n    def forward(self, x):\n{}\n\n"
    source += "    def backward(self, dy):\n{}\n"
    cls = defined(source.format(*methods), {**globals(), "y": np.ones((7, 6)), "__name__": f"few {words}"}, "Few")
    with pytest.raises(GradientError) as caught:
        check_layer(cls(), np.random.default_rng(0).normal(size=(7, 6)))
    assert words in str(caught.value)


def test_a_forward_that_takes_no_array_at_all_is_not_asked_for_another_x():
    class Largest(Layer):
        def forward(self, x):
            self.x = x
            return max(x, 0)

        def backward(self, dy):
            return dy * (self.x > 0)

    with pytest.raises(GradientError, match=r"`np.maximum\(x, 0\)` belongs there"):
        check_layer(Largest())


class Strided(Layer):
    """A change of the arguments of as_strided could write anywhere, so that none is tried"""

    def windows(self, a):
        return np.lib.stride_tricks.as_strided(a, (len(a), a.shape[1] - 1, 2), (*a.strides, a.strides[1]))

    def forward(self, x):
        return self.windows(np.ascontiguousarray(x)).sum(axis=-1)

    def backward(self, dy):
        dx = np.zeros((len(dy), dy.shape[1] + 1), dy.dtype)
        view = self.windows(dx)
        view[...] = view + dy[..., None]
        return dx


class Refusing(Strided):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * d_y  # noqa: F821


class Overwriting(Strided):
    def backward(self, dy):
        dy *= 1
        dy += 1
        return super().backward(dy)


@pytest.mark.parametrize("cls", [Strided, Refusing, Overwriting])
def test_what_could_write_beyond_an_array_is_not_changed(cls):
    with pytest.raises(GradientError) as caught:
        check_layer(cls())
    assert cls is Strided or not caught.value.written
    assert cls is not Strided or "no change of backward was tried: it calls what might write" in caught.value.diagnosis


class ByName(Dense):
    def backward(self, dy):
        setattr(self, "d" + "b", dy.mean(axis=0) ** 2)
        self.dW = self.x.T @ dy
        return dy @ self.W.T


def test_why_no_change_was_tried_is_told_truly():
    with pytest.raises(GradientError, match="no change of backward was tried: none of its lines is seen to set this"):
        check_layer(ByName(3, 2))
    made = {}
    exec("def backward(self, dy): return dy", made)
    assert why_unchanged(type("Unread", (Dense,), made), "backward") == "its source can't be read"


class Nonsense(Layer):
    def forward(self, x):
        self.y = sigmoid(x) * x.mean()
        return self.y

    def backward(self, dy):
        print("is not to be seen a thousand times")
        return dy - self.y**3


def test_where_nothing_fits_what_was_ruled_out_is_told(capsys):
    with pytest.raises(GradientError) as caught:
        check_layer(Nonsense())
    capsys.readouterr()
    said = str(caught.value)
    assert capsys.readouterr().out.count("thousand") < 100
    assert "none of the usual slips" in said and "changes at one place" in said
    assert "derived from forward" in caught.value.right
    assert caught.value.written.startswith("return dy - self.y ** 3")  # the lines that make the gradient
    assert "<= 709" not in caught.value.right  # where the sigmoid keeps an overflow off


def test_without_source_nothing_is_tried():
    cls = defined(_source(Nonsense), {**globals(), "__name__": "no source"}, "Nonsense")
    linecache.cache.pop("<no source>")
    with pytest.raises(GradientError) as caught:
        check_layer(cls())
    assert "can't be read" in caught.value.diagnosis


def test_the_slopes_of_a_loss_are_tried_too():
    source = _source(losses.Squares).replace("2 * (p - t)", "2 * (t - p) * p")
    with pytest.raises(GradientError) as caught:
        check_loss(defined(source, {**vars(losses), "__name__": "loss of test_repair"}, "Squares")())
    assert caught.value.sentence == "two slips: the factor `t - p` is too much; and the term -`t` is missing"
    exchanged = _source(losses.OnLogits).replace("1 / (1 + np.exp(-p)) - t", "1 / (1 + np.exp(-t)) - p")
    with pytest.raises(GradientError) as caught:
        check_loss(defined(exchanged, {**vars(losses), "__name__": "other of test_repair"}, "OnLogits")())
    assert caught.value.sentence == "`t` and `p` are exchanged"
    assert caught.value.right.startswith("return 1 / (1 + np.exp(-p)) - t")


FACTOR = 2.0


class Forgetful(Layer):
    def __init__(self, FACTOR=3.0):
        self.FACTOR = FACTOR

    def forward(self, x):
        return self.FACTOR * x

    def backward(self, dy):
        return self.FACTOR * dy

    def predict(self, x):
        return FACTOR * x


def test_a_forgotten_self_is_found_in_predict_too():
    with pytest.raises(GradientError) as caught:
        check_layer(Forgetful())
    assert caught.value.right == "return self.FACTOR * x   (tried: then it is right)"


def test_a_bug_of_the_experiments_is_told(monkeypatch):
    monkeypatch.setattr(diagnosis.refusal, "correction", None)
    with pytest.raises(GradientError) as caught:
        check_layer(Refusing())
    with pytest.warns(UserWarning, match=r"please report it: TypeError: 'NoneType' object .* \(diagnosis.py, line"):
        assert not caught.value.diagnosis


def test_a_method_without_a_source_of_its_own_is_not_repaired(tmp_path, monkeypatch):
    """Code that is run from a text finds the lines of whatever file has its name."""
    (tmp_path / "notes.md").write_text("a note\n" * 3 + 'an "open quote\n' * 30)
    monkeypatch.chdir(tmp_path)
    code = """
import numpy as np
from minigrad import Layer
from minigrad.functions import sigmoid
class Doubled(Layer):
    def forward(self, x):
        return 2 * x
    def backward(self, dy):
        return 3 * dy
"""
    namespace = {"__name__": "notes"}
    exec(compile(code, "notes.md", "exec"), namespace)
    with pytest.raises(AssertionError, match=r"derived from forward") as caught:
        check_layer(namespace["Doubled"]())
    assert "likely bug" in str(caught.value)


class Doubling(Dense):
    def forward(self, x):
        return 2 * super().forward(x)


class Steep(Tanh):
    def forward(self, x):
        self.y = np.tanh(2 * x)
        return self.y


class Further(Residual):
    def forward(self, x):
        return super().forward(x) + x


class Twice(MeanSquaredError):
    def forward(self, p, t, sample_weight=None):
        return 2 * super().forward(p, t, sample_weight)


@pytest.mark.parametrize("wrong", [Doubling(3, 4), Steep(), Further(Dense(3, 3)), Twice()], ids=repr)
def test_a_forward_of_ones_own_with_a_backward_of_the_package_lacks_one(wrong):
    """What is said is not to edit the package's files."""
    cls, base = type(wrong).__name__, type(wrong).__base__.__name__
    with pytest.raises(
        GradientError, match=rf"{cls} lacks .*backward of its own: what it inherits from {base}"
    ) as caught:
        (check_layer if isinstance(wrong, Layer) else check_loss)(wrong)
    assert "written:" not in str(caught.value)


class Counting(Layer):
    def __init__(self):
        self.tau, self.n = 2.0, 0

    def forward(self, x):
        self.n += 1
        self.a = self.tau / self.n
        return x * self.a

    def backward(self, dy):
        return dy * self.a


class Drawing(Layer):
    def __init__(self):
        self.tau, self.dice = 2.0, np.random.default_rng(0)

    def forward(self, x):
        self.a = self.tau * self.dice.random()
        return x * self.a

    def backward(self, dy):
        return dy * self.a


@pytest.mark.parametrize(("wrong", "name"), [(Counting(), "n"), (Drawing(), "dice")], ids=["a count", "a generator"])
def test_what_lasts_from_one_forward_to_the_next_is_named(wrong, name):
    with pytest.raises(
        GradientError, match=rf"its {name} is another .*write {name} = state\(\) in the class"
    ) as caught:
        check_layer(wrong)
    assert "tried" not in str(caught.value)
