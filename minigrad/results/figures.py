"""The sections of a report about figures and classes: what is right, what is mistaken, what a threshold trades."""

from __future__ import annotations

import math
from html import escape

from minigrad.display import Markup, html_table
from minigrad.results.drawing import confusion, reliability
from minigrad.results.messages import measure_text, percent
from minigrad.results.outcome import Classification, Regression

CLASSES_DRAWN = 40  # a larger confusion matrix can't be read


def measures_section(outcome: Classification | Regression) -> str:
    """The figures that belong to the kind of answers, each beside what knowing nothing of a row gets."""
    rows: list[list[object]] = []
    for measure in outcome.measures:
        value, between, chance = measure_text(measure)
        rows.append([measure.name, Markup(f"{value}<small>{escape(between)}</small>"), chance])
    if isinstance(outcome, Regression):
        title, words = "How far off", "Mean and root mean squared error are in the target’s unit, R² has none. "
    else:
        title = "How well the outputs tell rows apart"
        about = "each class against the others, averaged"
        if outcome.positive is not None:
            about = f"of “{outcome.classes[outcome.positive]}”, the class looked for"
        words = (
            f"AUC ({about}): how often a row of the class has a larger output for it than another row; 0.5 is chance. "
            "That of precision and recall says more where the class is rare. "
        )
        if outcome.positive is not None:
            words += (
                "Lift: how many times as many rows of the class the tenth with the largest outputs holds as chance. "
            )
        if any(measure.key == "log_loss" for measure in outcome.measures):
            words += "Log loss and Brier score are of the probabilities, and less is better. "
    words += "Small figures are 95 % intervals, by drawing the held-out rows again and again (bootstrap)."
    return f"<h2>{title}</h2><p>{escape(words)}</p>{html_table(['', 'held out', 'knowing nothing'], rows)}"


def thresholds_section(outcome: Classification) -> str:
    """What answering the class looked for from each threshold on trades for what; nothing of several classes."""
    if outcome.positive is None:
        return ""
    name, rows = outcome.classes[outcome.positive], []
    for each in outcome.trade_offs:
        mark = "<small>in use</small>" if each.threshold == outcome.threshold else ""
        shares = ["–" if math.isnan(share) else percent(share) for share in (each.precision, each.recall)]
        found = f"{each.right:,} of {each.true:,}"
        rows.append([Markup(f"{each.threshold:g}{mark}"), f"{each.called:,}", found, *shares, percent(each.accuracy)])
    words = (
        f"Answering “{name}” from an output on (--threshold): a lower one finds more of these rows and calls more "
        "others so. Choose by what a missed row and a false alarm cost; figures of a threshold that was chosen here "
        "are a little too good."
    )
    head = ["from", "called so", "found", "precision", "recall", "accuracy"]
    table = html_table(head, rows)
    return f'<h2>What a threshold trades</h2><p>{escape(words)}</p><div class="scroll">{table}</div>'


def classes_section(outcome: Classification) -> str:
    """Precision, recall and F1 of each class, with their intervals."""
    report, rows = outcome.report, []

    def cell(value: float, interval: tuple[float, float]) -> Markup:
        low, high = interval
        return Markup(f"{value:.3f}<small>{low:.2f}–{high:.2f}</small>")

    numbers = zip(outcome.classes, report.precision, report.recall, report.f1, report.support, strict=True)
    for (name, *values, support), intervals in zip(numbers, outcome.class_intervals(), strict=True):
        rows.append([name, *(cell(v, i) for v, i in zip(values, intervals, strict=True)), f"{support:,}"])
    average = [report.macro_precision, report.macro_recall, report.macro_f1]
    rows.append(["mean of the classes", *(f"{value:.3f}" for value in average), f"{report.support.sum():,}"])
    table = html_table(["class", "precision", "recall", "F1", "rows"], rows)
    return (
        "<h2>Class by class</h2><p>Precision: of the rows called so, how many are. Recall: of the rows that are, how "
        "many were called so. F1: the harmonic mean of both. Small figures are 95 % intervals (Wilson’s; for F1 "
        f"carried over from TP / (TP + FP + FN)). Balanced accuracy, the mean recall: "
        f"<strong>{percent(report.balanced_accuracy)}</strong>.</p>{table}"
    )


def confusion_section(outcome: Classification) -> str:
    """What is taken for what and, of probabilities, whether they can be believed."""
    if len(outcome.classes) > CLASSES_DRAWN:
        return ""
    caption = "Held-out rows by true class (down) and answer (across); right answers lie on the diagonal."
    left = confusion(outcome.held_out_matrix, outcome.classes, caption)
    right = _reliability(outcome) if outcome.outputs.min() >= 0 and outcome.outputs.max() <= 1 else ""
    return f'<h2>What is taken for what</h2><div class="pair">{left}{right}</div>'


def _reliability(outcome: Classification) -> str:
    """Whether outputs can be believed: of two classes those for the one looked for, of more the largest."""
    confidence, right, k = outcome.confidence, outcome.right, outcome.positive
    caption = (
        "Can the outputs be believed? Each point is a tenth of the held-out rows. Above the line, the network is "
        "right more often than its output says; below it, less often."
    )
    labels = "confidence: the largest output", "share of right answers"
    if k is not None:
        name = outcome.classes[k]
        confidence, right = outcome.outputs[:, k], outcome.codes == k
        labels = "output for the class looked for", "share of rows that are of it"
        caption = (
            f"Can the outputs be believed? Each point is a tenth of the held-out rows. Above the line, more rows are "
            f"“{name}” than the outputs say; below it, fewer."
        )
    return reliability(confidence, right, labels, caption)
