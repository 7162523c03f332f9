"""Numbers and findings in words, as the text and the page both tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.results.baselines import ADVICE
from minigrad.results.outcome import Baseline, Classification, Coverage, Evaluation, Measure, Regression
from minigrad.training.history import History

NOT_SHOWN = "; a gain is not shown on these rows"


def percent(number: float) -> str:
    """0.918 -> 91.8 %, without a line break in it."""
    return f"{100 * number:.1f}\N{NO-BREAK SPACE}%"


def amount(value: float) -> str:
    """A number in the target's own unit as people write it: 0.01234, 1.5, 9,628 and 160,300."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"


def score_text(score: float, outcome: Classification | Regression) -> str:
    """A score as its kind is written: 91.8 % of rows, or an R² of 0.918."""
    return percent(score) if isinstance(outcome, Classification) else f"{round(score, 3) + 0.0:.3f}"  # never -0.000


def measure_text(measure: Measure) -> tuple[str, str, str]:
    """(value, its interval, what knowing nothing gets), as text; where no gain is shown, that is said."""
    write = amount if measure.key in ("rmse", "mae") else "{:.3f}".format
    low, high = measure.interval
    chance = write(round(measure.chance, 3) + 0.0 if measure.key == "r2" else measure.chance)
    return write(measure.value), f"{write(low)} to {write(high)}", chance + ("" if measure.shown else NOT_SHOWN)


def coverage_text(coverage: Coverage) -> str:
    """What a prediction's interval is, and how often it held."""
    low, high = coverage.interval
    return (
        f"prediction ± {amount(coverage.half_width)} is meant to hold for {percent(coverage.level)} of new rows "
        f"(split conformal); measured, it held for {percent(coverage.held / coverage.rows)} of {coverage.rows:,} "
        f"held-out rows ({100 * low:.1f} to {100 * high:.1f} %)"
    )


def training_text(settings: Mapping[str, Any], history: History) -> str:
    """How the network was trained, or that its best weights were solved for."""
    penalty = f"L2 {settings['l2']:.3g}"
    if "learning_rate" not in settings:
        return f"solved in {len(history)} steps of Newton's method, each with all rows; {penalty}"
    steps = f"{settings['optimizer']} at rate {settings['learning_rate']:g}"
    return f"{len(history)} epochs in batches of {settings['batch_size']}; {steps}, {penalty}"


def verdict(found: Evaluation) -> str:
    """The result in two sentences."""
    outcome = found.outcome
    if isinstance(outcome, Classification):
        low, high = outcome.interval
        right = int(outcome.right.sum())
        first = (
            f"{right:,} of {found.held_out_rows:,} held-out rows are answered rightly, {percent(outcome.score)} "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
        )
    else:
        first = (
            f"The network explains {percent(max(outcome.score, 0.0))} of the variance of {found.held_out_rows:,} "
            f"held-out rows (R² {outcome.score:.3f}, 95 % interval {outcome.interval[0]:.3f} to "
            f"{outcome.interval[1]:.3f}) and misses by {amount(outcome.error)} on average"
        )
    return f"{first}. {against(found)}"


def against(found: Evaluation) -> str:
    """What the network is against its baselines, in a few sentences."""
    outcome, (simplest, *models) = found.outcome, found.baselines
    simple, said = baseline_text(simplest, outcome), ""
    if isinstance(outcome, Classification) and outcome.unbalanced is not None:
        said = (
            f"{percent(outcome.unbalanced)} of the training rows are of one class, so accuracy says little, and AUC "
            "decides. "
        )
    if simplest.verdict == "better":
        return f"{said}That is clearly better than {simple}{_among(models, found)}"
    if simplest.verdict == "worse":
        return f"{said}That is worse than {simple}.{_beside(models, found)}"
    auc = next((measure for measure in outcome.measures if measure.key == "auc"), None)
    if auc is not None and auc.shown:
        low, high = auc.interval
        return (
            f"{said}No more rows are right than by {simple}, but the outputs do tell rows apart: AUC {auc.value:.3f} "
            f"({low:.3f} to {high:.3f}; chance has 0.5). Rank the rows by them, or answer from another --threshold on."
            f"{_beside(models, found)}"
        )
    return f"{said}That it does better than {simple} is not shown on these rows.{_beside(models, found)}"


def winner(found: Evaluation) -> str:
    """Whose answers are clearly the best on the held-out rows, or that none are."""
    simplest, *models = found.baselines
    worse = [other for other in found.baselines if other.verdict == "worse"]
    if worse:
        return max(worse, key=_decisive).name
    if all(other.verdict == "better" for other in found.baselines):
        return "this network"
    names = [other.name for other in models if other.verdict == "not clearly better"]
    return f"not settled: this network or {' or '.join(names or [simplest.name])}"


def baseline_text(other: Baseline, outcome: Classification | Regression) -> str:
    """A baseline's name and the score that decides."""
    if other.by_auc and other.auc is not None:
        return f"{other.name} (AUC {other.auc:.3f})"
    return f"{other.name} ({score_text(other.score, outcome)})"


def _decisive(other: Baseline) -> float:
    return other.auc if other.by_auc and other.auc is not None else other.score


def _by_verdict(models: list[Baseline], found: Evaluation) -> list[tuple[list[Baseline], str]]:
    """The models that the network is better, not clearly better and worse than; with their names in a sentence."""
    parted = [
        [other for other in models if other.verdict == word] for word in ("better", "not clearly better", "worse")
    ]
    return [
        (some, " and ".join(f"{_article(other)}{baseline_text(other, found.outcome)}" for other in some))
        for some in parted
    ]


def _beside(models: list[Baseline], found: Evaluation) -> str:
    """A sentence about the models, where the network is not better than the simplest answer."""
    (better, betters), (level, levels), (worse, worses) = _by_verdict(models, found)
    said = [f"clearly better than {betters}"] if better else []
    said += [f"not clearly better than {levels}"] if level else []
    said += [f"worse than {worses}"] if worse else []
    return f" It is {', and '.join(said)}{_instead(worse)}." if said else ""


def _instead(worse: list[Baseline]) -> str:
    """What is to be taken, where the network is worse than these models."""
    if not worse:
        return ""
    best = max(worse, key=_decisive)
    what = "use the simpler model" if best.advice == ADVICE else f"{best.name} win on these rows"
    return f": {what} ({best.advice})" if best.advice else f": {what}"


def _among(models: list[Baseline], found: Evaluation) -> str:
    """The end of a sentence about the simplest answer, which the network is better than."""
    (better, betters), (level, levels), (worse, worses) = _by_verdict(models, found)
    if not level and not worse:
        return f" and than {betters}." if better else "."
    text = f", and so it is than {betters}" if better else ""
    if worse:
        text += f", but worse than {worses}{_instead(worse)}"
        return text + (f"; not clearly better than {levels}." if level else ".")
    hidden = sum(layer.startswith("Dense") for layer in found.layers) > 1 or found.layers[0].startswith("Average")
    if level[0].advice == ADVICE and hidden:
        text += f", but not clearly better than {levels}: on these rows, the hidden layers have not earned their place"
        return f"{text} ({ADVICE})."
    return f"{text}; not clearly better than {levels}."


def _article(other: Baseline) -> str:
    return "" if other.name.endswith("s") else "a "


def spread_text(found: Evaluation) -> str:
    """The scores of several seeds in a sentence."""
    scores, outcome = np.array(found.spread), found.outcome
    each = ", ".join(score_text(score, outcome) for score in found.spread)
    deviation = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
    middle = float(scores.mean())
    shown = f"{middle:.3f} ± {deviation:.3f}"
    if isinstance(outcome, Classification):
        shown = f"{100 * middle:.1f} ± {100 * deviation:.1f} %"
    return (
        f"over {len(scores)} seeds: {outcome.measure} {shown} (mean and standard deviation; {each}). "
        "Each seed draws another split, other first weights and another order of the rows"
    )
