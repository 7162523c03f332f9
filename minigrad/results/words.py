"""Numbers and findings in words, as the text and the page both tell them."""

from __future__ import annotations

import numpy as np

from minigrad.results.outcome import Classification, Evaluation, Regression


def percent(number: float) -> str:
    """0.918 -> 91.8 %, without a line break in it."""
    return f"{100 * number:.1f}\N{NO-BREAK SPACE}%"


def amount(value: float) -> str:
    """A number in the target's own unit as people write it: 0.01234, 1.5, 9,628 and 160,300."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"


def score_text(score: float, outcome: Classification | Regression) -> str:
    """A score as its kind is written: 91.8 % of rows, or an R² of 0.918."""
    return percent(score) if isinstance(outcome, Classification) else f"{round(score, 3) + 0.0:.3f}"  # never -0.000


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
    """What the network is against its baselines, in a sentence."""
    outcome, (simplest, linear) = found.outcome, found.baselines
    simple, straight = (f"{other.name} ({score_text(other.score, outcome)})" for other in (simplest, linear))
    if simplest.verdict != "better":
        return f"That is {simplest.verdict} than {simple}: nothing that helps has been learned."
    if linear.verdict == "better":
        return f"That is clearly better than {simple} and than a {straight}."
    if linear.verdict == "worse":
        return f"That is clearly better than {simple}, but worse than a {straight}: use the simpler model."
    return (
        f"That is clearly better than {simple}, but not clearly better than a {straight}: on these rows, "
        "the hidden layers have not earned their place."
    )


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
