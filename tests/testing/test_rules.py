"""Rules, the evidence that they raise, and the sentences that it leads to; and a rule of one's own."""

import ast
import importlib
import inspect
import string

import numpy as np
import pytest

from minigrad import Dense, ReLU, Tanh
from minigrad.testing import GradientError, check_layer, check_loss, loss, model, optimizer
from minigrad.testing.bench import first_input, layers as bench
from minigrad.testing.contract import check
from minigrad.testing.naming import sentences
from minigrad.testing.rule import Evidence, Rule, Skipped, rule
from minigrad.testing.rules import (
    gradients,
    inference,
    loss_gradients,
    loss_values,
    predicted,
    protocol as rules,
    values,
    variations,
)
from tests.planted import losses, wrong_layers
from tests.planted.mutation import everything


@rule("y is never negative")
def never_negative(bench):
    y = bench.forward(bench.x, "the first input")
    if (y < 0).any():
        raise Evidence(f"forward returns {y.min():.3g}", likely="the square is missing")


@rule("zeros give zeros")
def zeros_give_zeros(bench):
    if bench.forward(np.zeros_like(bench.x), "zeros").any():
        return Skipped("it has a bias")
    return f"{bench.x.size} of them"


def test_a_rule_of_ones_own_is_tried_after_the_contract():
    report = check(ReLU(), rules=[*rules.CONTRACT, never_negative, zeros_give_zeros])
    assert [(f.rule, f.verdict, f.detail) for f in report.findings[-2:]] == [
        ("y is never negative", "holds", ""),
        ("zeros give zeros", "holds", "15 of them"),
    ]
    with pytest.raises(GradientError) as caught:
        check(Tanh(), rules=[*rules.CONTRACT, never_negative])
    assert caught.value.rule == "y is never negative"
    assert caught.value.sentence == "the square is missing"
    assert caught.value.report.findings[-1].verdict == "broken"


def test_a_rule_that_does_not_apply_is_skipped_with_its_reason():
    report = check(Dense(3, 2, seed=0), rules=[zeros_give_zeros])
    assert [(f.verdict, f.detail) for f in report.findings] == [("skipped", "it has a bias")]


def symptoms(module):
    """The symptoms that a module names: what it passes second to Evidence, and third to others."""
    places = {"Evidence": 1, "WrongGradient": 2, "trying": 2, "seen_on": 1}
    for call in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(call, ast.Call):
            place = places.get(getattr(call.func, "id", getattr(call.func, "attr", "")))
            for value in ast.walk(call.args[place]) if place and len(call.args) > place else ():
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                    yield value.value


def test_every_symptom_has_a_sentence_and_every_sentence_a_symptom():
    evidenced = importlib.import_module(Evidence.__module__)
    of_layers = (bench, first_input, variations, evidenced, gradients, inference, predicted, rules, values)
    files = (*of_layers, loss, loss_gradients, loss_values, model, optimizer)
    named = {symptom for file in files for symptom in symptoms(file)}
    assert named == set(sentences.SENTENCES)


def test_sentences_are_filled_in_with_what_evidence_has():
    known = {*vars(Evidence("")), "held", "domain", "outputs", "words"}
    for sentence in sentences.SENTENCES.values():
        assert {name for _, name, _, _ in string.Formatter().parse(sentence) if name} <= known


@pytest.mark.parametrize("module", [rules, loss, model, optimizer])
def test_every_rule_of_a_module_is_in_its_contract_and_says_what_it_promises(module):
    contract = module.CONTRACT
    files = {inspect.getmodule(rule.tried) for rule in contract} | {module}
    assert {value for file in files for value in vars(file).values() if isinstance(value, Rule)} == set(contract)
    assert len({rule.promise for rule in contract}) == len(contract)
    assert all(rule.tried.__doc__ for rule in contract)


SET = {planted.name: planted.make for planted in everything()}
EXCHANGED = next(bug.name for bug in everything() if bug.words == "exchanged" and "-p * np.log" in bug.name)
OF_LAYERS = [  # a bug for each rule, in the order of the contract; those with "->" are of the set
    "HidesInnerLayer",
    "ReturnsNothing",
    "InPlaceCache",
    "Accumulates",
    "AveragedBias",
    "Slopes: .sum(axis=0) -> .sum(axis=0) / (2 if len(dy) == 2 else 1)",
    "ConstantGradient",
    "Centred: return dy -> return dy * (self.steps < 5)",
    "ReusedBuffer",
    "PredictDisturbs",
    "LiesAboutShape",
    "PredictByBatch",
    "Dropout: / (1 - self.rate) -> nothing",
    "BatchNorm: return self.gamma * (x - self.mean) -> return (x - self.mean)",
    "ReliesOnMemoryOrder",
    "Upcasts",
    "Softmax: x - x.max(axis=-1, keepdims=True) -> x",
    "LayerNorm: (d**2).mean(axis=-1, keepdims=True) -> ((x**2).mean(axis=-1, keepdims=True) "
    "- x.mean(axis=-1, keepdims=True)**2)",
    "RefusesZeroRows",
    "ForgetsArgument",
    "CutToSquare",
    "Steep: self.alpha * (self.y + 1) -> (self.y + 1)",
    "CountsSilently",
]
OF_LOSSES = [
    "ArrayScalar",
    "Overwrites",
    "Binary: np.maximum(np.log(p), -100) -> np.log(p)",
    "Halved",
    "SmoothL1: np.clip -> (1 + (p.shape[-1] > 8)) * np.clip",
    "Bent: d - 0.5 -> d",
    EXCHANGED,
    "Plain: return float(((p - t) ** 2).sum() / len(p)) -> return float((p**2).sum() / len(p) - 2 * (p * t).sum() "
    "/ len(p) + (t**2).sum() / len(p))",
    "MeanOverOutputs",
    "IgnoresWeights",
    "Broadcasts",
    "Upcasts",
    "ReliesOnMemoryOrder",
    "Forgets",
    "SmoothL1: np.clip(e / self.beta -> np.clip(e",
]


@pytest.mark.parametrize(
    ("contract", "check_one", "planted", "names"),
    [(rules.CONTRACT, check_layer, wrong_layers.BUGS, OF_LAYERS), (loss.CONTRACT, check_loss, losses.BUGS, OF_LOSSES)],
    ids=["layers", "losses"],
)
def test_every_rule_is_broken_by_a_planted_bug(contract, check_one, planted, names):
    for broken, name in zip(contract, names, strict=True):
        wrong = SET[name]()[0] if name in SET else planted[name][0]()
        with pytest.raises(GradientError) as caught:
            check_one(wrong)
        assert caught.value.rule == broken.promise
