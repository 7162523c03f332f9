"""No argument of a function that has a rule goes unnoticed: a gradient honours it, or the forward is refused by name.

For each function of `RULES`, and each of the constant ones, this walks all of NumPy's arguments, by name and by place,
with values of every kind, numbers that depend on x or on a parameter among them. An argument that is new in NumPy, and
of which VALUES has none, fails here.
"""

import inspect
import operator

import numpy as np
import pytest
import scipy.special

from minigrad.derivation import DerivationError
from minigrad.derivation.rules import CONSTANT, RULES
from tests.derivation.test_running import Of

X = np.random.default_rng(0).permutation(12).reshape(3, 4) * 0.05 + 0.21
W = np.array([0.7, 0.9, 1.1, 0.8])
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
TRACED = [lambda x, w: w[0] * w[1], lambda x, w: w * 0.9, lambda x, w: x * w, lambda x, w: x > 0.5]
"""Arguments that depend on x, the last one in steps."""

PADS_BY_AXES = np.lib.NumpyVersion(np.__version__) >= "2.3.0"  # np.pad takes a dict from then on
VALUES = {
    "axis": [None, 0, 1, -1, (0, 1), (-1,), ()],
    "keepdims": [False, True],
    "where": [True, MASK, MASK[0], MASK[:, :1]],
    "initial": [0, 0.4, 9.0],
    "dtype": [None, np.float64, np.complex128, np.int64, bool, object],
    "out": [None, lambda x, w: np.zeros_like(x), lambda x, w: np.zeros(4), lambda x, w: np.zeros_like(x)[0]],
    "order": ["C", "F", "A", "K"],
    "casting": ["same_kind", "unsafe"],
    "subok": [True, False],
    "signature": ["dd->d", "d->d"],
    "axes": [[(0, 1), (1, 0), (0, 1)], [0, 0, ()], [0, 1, 0]],
    "ddof": [0, 1, 0.5],
    "correction": [0, 1, 0.5],
    "mean": [0.3, lambda x, w: x.mean(axis=1, keepdims=True)],
    "ord": [None, 1, 2, 3, np.inf, "fro", "nuc"],
    "mode": ["raise", "wrap", "clip", "constant", "edge", "reflect", "symmetric", "linear_ramp", "maximum", "mean"],
    "optimize": [True, "greedy"],
    "copy": [None, True, False],
    "device": [None, "cpu"],
    "decimals": [0, 1],
    "kind": [None, "stable"],
    "stable": [None, True],
    "descending": [False, True],  # which NumPy has from 2.5 on
    "k": [0, 1, -1],
    "shape": [(2, 6), (12,), -1, (4, 3)],
    "newshape": [(2, 6)],
    "nan": [1.0],
    "posinf": [1.0],
    "neginf": [1.0],
    "a_min": [None, 0.3],
    "a_max": [None, 0.6],
    "min": [None, 0.3],
    "max": [None, 0.6],
    "fill_value": [2.0, W],
    "repeats": [1, 2, np.int64(2), [2], [1, 0, 2], np.array([1, 0, 2, 1])],
    "shift": [1, -1, (1, 2), np.array(2)],
    "indices": [[0, 2, 0], 1, -1, np.array([[0, -1]])],
    "pad_width": [1, (1, 0), ((1, 1), (0, 2)), *[{-1: (1, 2)}] * PADS_BY_AXES],
    "constant_values": [0.3],
    "reflect_type": ["even", "odd"],
    "end_values": [0.3],
    "stat_length": [2],
}
UFUNC = "* out where casting order dtype subok signature"
GUFUNC = "* out casting order dtype subok signature axes axis keepdims"
FUNCTIONS = {  # of which `inspect` does not say it, or not with every NumPy
    "concatenate": "arrays axis out * dtype casting",
    "dot": "a b out",
    "where": "condition x y",
    "einsum": "subscripts x y * out dtype order casting optimize",
    "pad": "array pad_width mode * constant_values reflect_type end_values stat_length",
    "clip": "a a_min a_max out * min max where dtype order casting subok signature",
}
METHODS = {  # what NumPy's documentation says; `inspect` can't always tell
    "reduce": "array axis dtype out keepdims initial where",
    "accumulate": "array axis dtype out",
    "mean": "a axis dtype out keepdims * where",
    "var": "a axis dtype out ddof keepdims * where mean correction",
    "std": "a axis dtype out ddof keepdims * where mean correction",
    "sum": "a axis dtype out keepdims initial where",
    "max": "a axis out keepdims initial where",
    "min": "a axis out keepdims initial where",
    "clip": "a min max out * where dtype casting",
    "cumsum": "a axis dtype out",
    "take": "a indices axis out mode",
    "repeat": "a repeats axis",
    "reshape": "a shape * order copy",
    "ravel": "a order",
    "flatten": "a order",
    "copy": "a order",
    "astype": "a dtype order casting subok copy",
    "dot": "a b out",
    "argmax": "a axis out * keepdims",
    "argmin": "a axis out * keepdims",
    "argsort": "a axis kind order * stable",
    "round": "a decimals out",
}
DEFAULTS = {
    "keepdims": False,
    "ddof": 0,
    "initial": 0.0,
    "where": True,
    "order": "C",
    "casting": "unsafe",
    "subok": True,
}
"""What stands in the places before an argument that is given by its own, if not None."""
OPERANDS = {  # of functions that take more than an array of the numbers that depend on x
    "where": lambda x, w: (MASK, x, w),
    "concatenate": lambda x, w: ([x * w, x],),
    "stack": lambda x, w: ([x * w, x],),
    "take": lambda x, w: (x * w, [0, 2, 0], 1),
    "repeat": lambda x, w: (x * w, 2, 1),
    "roll": lambda x, w: (x * w, 1),
    "pad": lambda x, w: (x * w, 1),
    "reshape": lambda x, w: (x * w, (2, 6)),
    "full_like": lambda x, w: (x, 2.0),
    "einsum": lambda x, w: ("bi,i->b", x, w),
    "clip": lambda x, w: (x * w, 0.3, 0.6),
    "astype": lambda x, w: (x * w, np.float64),
    "getitem": lambda x, w: (x * w, 1),
    "scalar_power": lambda x, w: ((x * w).sum(), 1.5),
    **dict.fromkeys(["dot", "matmul", "vecdot"], lambda x, w: (x, w)),
}


def functions_of(name):
    """Each function that goes by the name of a rule, and the names of its arguments, those after * by name alone."""
    if name in ("getitem", "scalar_power"):
        yield operator.getitem if name == "getitem" else operator.pow, "a b"
        return
    if "." in name:
        ufunc, method = name.split(".")
        yield getattr(getattr(np, ufunc), method), METHODS[method]
        return
    for home in (np, np.linalg, scipy.special):
        function = getattr(home, name, None)
        if function is None or (home is not np and function is getattr(np, name, None)):
            continue
        if isinstance(function, np.ufunc):
            yield function, "abc"[: function.nin].replace("", " ") + (UFUNC if function.signature is None else GUFUNC)
        elif home is np and name in FUNCTIONS:
            yield function, FUNCTIONS[name]
        else:
            named = inspect.signature(function).parameters.values()
            named = [each for each in named if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
            names = [("* " if each.kind is each.KEYWORD_ONLY else "") + each.name for each in named]
            yield function, " ".join(names)
    if name in METHODS:
        yield lambda a, *more, **options: getattr(a, name)(*more, **options), METHODS[name]


def calls(name):
    """Calls of a rule's functions: (the argument, its value, f(x, w))."""
    for function, said in functions_of(name):
        names = [each for each in said.split() if each != "*"]
        placed = said.split("*")[0].split()
        operands = OPERANDS.get(name, (lambda x, w: (x, w)) if placed[:2] == ["a", "b"] else (lambda x, w: (x * w,)))
        given = len(operands(X, W))
        yield "", "", lambda x, w, f=function, o=operands: f(*o(x, w))
        for option in names:
            place = names.index(option)
            assert option in VALUES or place < given, f"{name} has a new argument: {option}"
            if option == "where" and isinstance(getattr(scipy.special, name, None), np.ufunc):
                continue  # ufuncs of SciPy write beyond the array then, and end the process
            for value in [*VALUES.get(option, []), *TRACED]:

                def made(x, w, value=value):
                    return value(x, w) if callable(value) and not isinstance(value, type) else value

                def by_name(x, w, f=function, o=operands, names=names, option=option, place=place, made=made):
                    before, after = o(x, w)[:place], o(x, w)[place + 1 :]
                    after = dict(zip(names[place + 1 :], after, strict=False))
                    if isinstance(f, np.ufunc) and option == "where":
                        after["out"] = np.zeros_like(x)  # which has nothing of what was in memory
                    return f(*before, **{option: made(x, w)}, **after)

                def by_place(x, w, f=function, o=operands, left_out=names[given:place], place=place, made=made):
                    before = [*o(x, w)[:place], *map(DEFAULTS.get, left_out)]
                    return f(*before, made(x, w), *o(x, w)[place + 1 :])

                yield option, value, by_name
                if option in placed:
                    yield option, value, by_place


def slope(f, x, w, dy, array, h=1e-4):
    """The derivative of Σ dy f(x, w) by each number of an array, x or w, by differences that are extrapolated."""
    d = np.empty_like(array)
    for i in np.ndindex(array.shape):
        before, found = array[i], []
        for step in (h, h / 2):
            values = []
            for each in (step, -step):
                array[i] = before + each
                values.append((np.asarray(f(x, w)) * dy).sum())
            found.append((values[0] - values[1]) / (2 * step))
        array[i], d[i] = before, (4 * found[1] - found[0]) / 3
    return d


def outcome(f):
    """ "honoured" or "refused"; "" where NumPy itself refuses the call, or makes something that is no array."""
    x, w = X.copy(), W.copy()
    try:
        y = f(x, w)
    except Exception:
        return ""
    if not isinstance(y, np.ndarray | np.generic) or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        return ""
    layer, dy = Of(f, w), np.random.default_rng(1).normal(size=y.shape)
    assert np.array_equal(layer.forward(x), y)
    try:
        dx = layer.backward(dy)
    except DerivationError as error:
        assert "of test_arguments.py, `" in str(error)
        return "refused"
    for array, derived in ((x, dx), (w, layer.dw)):
        np.testing.assert_allclose(derived, slope(f, x, w, dy, array), rtol=1e-7, atol=1e-8)
    return "honoured"


REFUSED = {  # the arguments that are not honoured, or not with every value
    "axis": "repeat take vecdot",
    "keepdims": "vecdot",
    "mean": "std var",
    "ord": "norm",
    "mode": "pad take",
    "pad_width": "pad" if PADS_BY_AXES else "",
    "repeats": "repeat",
    "order": "flatten clip",
    "copy": "nan_to_num",
    "casting": "clip",
    "subok": "clip",
    "where": "clip",
}
NEVER = {"out", "signature", "dtype"}  # they write, name C's types, or make complex numbers and objects


@pytest.mark.parametrize("name", sorted({*RULES, *CONSTANT} - {"copyto", "empty_like"}))  # y[…] = x; any numbers
@pytest.mark.filterwarnings("ignore")
def test_each_argument_of_it_is_honoured_or_refused(name):
    refused = set()
    with np.errstate(all="ignore"):
        for option, value, f in calls(name):
            try:
                if outcome(f) == "refused" and not any(value is traced for traced in TRACED):
                    refused.add(option)
            except AssertionError as error:
                raise AssertionError(f"{name} with {option}={value!r}: {error}") from None
    of_ufunc = {"where"} if isinstance(getattr(np, name, None), np.ufunc) else set()
    assert refused - NEVER - of_ufunc == {option for option, names in REFUSED.items() if name in names.split()}
