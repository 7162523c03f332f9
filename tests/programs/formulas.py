"""A spreadsheet in forty lines, for formulas that `writers.sheet` writes: what they mean where no office suite is."""

import re

import numpy as np

CELL = re.compile(r"\$?([A-Z]{1,3})\$?(\d+)(?![\d(])(?::\$?([A-Z]{1,3})\$?(\d+))?")
FUNCTIONS = {
    "IF": lambda condition, a, b: a if condition else b,
    "MIN": lambda *a: min(map(np.min, a)),
    "MAX": lambda *a: max(map(np.max, a)),
    "SUM": lambda *a: sum(map(np.sum, a)),
    "PRODUCT": lambda *a: np.prod([np.prod(each) for each in a]),
    "SUMSQ": lambda *a: sum(np.square(each).sum() for each in a),
    "SUMPRODUCT": lambda a, b=1.0: np.sum(a * b),
    "MMULT": np.matmul,
    "LN": np.log,
    "EXP": np.exp,
    "SQRT": np.sqrt,
    "ABS": np.abs,
    "TANH": np.tanh,
    "SIGN": np.sign,
    "INT": np.floor,
    "POWER": np.power,
}


def column(letters):
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number - 1


def recalculated(numbers, formulas):
    """{(row, column): value} of numbers and formulas, which stand in an order in which they can be computed."""
    values = {place: np.float64(number) for place, number in numbers.items()}

    def look(left, top, right, bottom):
        if right is None:
            return values[int(top) - 1, column(left)]
        rows, columns = range(int(top) - 1, int(bottom)), range(column(left), column(right) + 1)
        return np.array([[values[row, place] for place in columns] for row in rows])

    for place, formula in formulas.items():
        text = CELL.sub(lambda found: f"look{found.groups()!r}", formula)
        text = re.sub(r"(?<![<>=!])=(?!=)", "==", text.replace("<>", "!=")).replace("^", "**")
        with np.errstate(all="ignore"):
            values[place] = np.float64(eval(text, {"look": look, **FUNCTIONS}))
    return values
