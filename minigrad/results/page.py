"""The report as one HTML page: readable offline, on a phone, by day and by night, and by a screen reader."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from minigrad import plots
from minigrad.display import Markup, html_table, marked
from minigrad.results.baselines import BASELINE_STEPS
from minigrad.results.drawing import drawing, tile
from minigrad.results.outcome import Baseline, Classification, Evaluation, Mistake, Regression
from minigrad.results.style import STYLE
from minigrad.results.words import against, amount, measure_text, percent, score_text, spread_text, winner

UNITS_SHOWN = 32  # pictures of weights
CLASSES_DRAWN = 40  # a larger confusion matrix can't be read


def render(
    data: str, found: Evaluation, settings: dict[str, Any], notes: Sequence[tuple[str, str]], seconds: float
) -> str:
    """The whole page. `data` is the name of the data, `settings` and `notes` are those of a `Result`."""
    drawn = importlib.util.find_spec("matplotlib") is not None
    outcome = found.outcome
    parts = [_first_screen(data, found), _cautions(found), _baselines(found)]
    if not drawn:
        parts.append(
            "<p><strong>This report comes without pictures</strong>, since matplotlib is not installed. "
            'With it (<code>pip install "minigrad-nn[plots]"</code>) the same command draws them.</p>'
        )
    parts.append(_learning(found, drawn))
    parts.append(_measures(outcome))
    if isinstance(outcome, Classification):
        parts += [_thresholds(outcome), _classes(outcome), _confusion(outcome, drawn)]
    elif drawn:
        parts.append(_residuals(outcome))
    parts += [_mistakes(found, drawn), _weights(found) if drawn else "", _method(found, settings, notes, seconds)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(data)}: minigrad report</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n<footer>Made by minigrad. Every number is about rows that the network has not seen, unless it says "
        "“training”.</footer>\n</main></body></html>\n"
    )


# ---------------------------------------------------------------------------------------------------------- sections
def _first_screen(data: str, found: Evaluation) -> str:
    outcome, (low, high) = found.outcome, found.outcome.interval
    if isinstance(outcome, Classification):
        number = f"{100 * outcome.score:.1f}<small> %</small>"
        what = f"of {found.held_out_rows:,} held-out rows right; 95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    else:
        number = f"{outcome.score:.3f}<small> R²</small>"
        what = (
            f"on {found.held_out_rows:,} held-out rows; 95 % interval {low:.3f} to {high:.3f}; "
            f"mean error {amount(outcome.error)}"
        )
    least = 0.0 if isinstance(outcome, Classification) else min(0.0, low, *(other.score for other in found.baselines))

    def place(score: float) -> float:
        return 100 * min(max((score - least) / (1 - least), 0.0), 1.0)

    def lane(number: int, name: str, score: float, band: tuple[float, float] | None = None) -> str:
        between = (
            ""
            if band is None
            else (f'<i style="left:{place(band[0]):.2f}%;width:{place(band[1]) - place(band[0]):.2f}%"></i>')
        )
        row = f'style="--lane:{number}"'
        track = f'<div class="track">{between}<b style="left:{place(score):.2f}%"></b></div>'
        return (
            f"<dt {row}{' class=own' if band else ''}>{escape(name)}</dt>"
            f'<dd {row} class="bar-cell">{track}</dd>'
            f'<dd {row} class="number">{score_text(score, outcome)}</dd>'
        )

    lanes = [lane(0, "this network", outcome.score, outcome.interval)]
    lanes += [lane(n, other.name, other.score) for n, other in enumerate(reversed(found.baselines), 1)]
    return (
        f'<p class="kicker">minigrad report</p><h1>{escape(data)}</h1>\n<section class="verdict">'
        f'<p class="score">{number}</p><p class="what">{escape(what)}</p><dl class="race">{"".join(lanes)}</dl>'
        f'<p class="words">{escape(against(found))}</p></section>'
    )


def _cautions(found: Evaluation) -> str:
    return "\n".join(
        f'<aside class="warning"><strong>{escape(caution.title)}</strong><p>{escape(caution.text)}</p></aside>'
        for caution in found.cautions
    )


def _baselines(found: Evaluation) -> str:
    outcome = found.outcome
    model, unit, scale, digits = "linear", "", 1, 3
    if isinstance(outcome, Classification):
        model, unit, scale, digits = "logistic", "points", 100, 1

    def gain(other: Baseline) -> Markup:
        low, high = other.gain
        between = f"{scale * low:+.{digits}f} to {scale * high:+.{digits}f} {unit}".rstrip()
        if other.by_auc and other.auc_gain is not None:
            between = "AUC {:+.3f} to {:+.3f}".format(*other.auc_gain)
        return Markup(f"{escape(other.verdict)}<small>{between}</small>")

    others = list(reversed(found.baselines))
    rows: list[list[object]] = [["this network", score_text(outcome.score, outcome), ""]]
    rows += [[other.name, score_text(other.score, outcome), gain(other)] for other in others]
    head: list[object] = ["", outcome.measure, "the network is …"]
    if isinstance(outcome, Regression):
        head.insert(2, "mean error")
        second = [amount(error) for error in (outcome.error, *(other.error or 0.0 for other in others))]
    else:
        head.insert(2, "AUC")
        own = next(measure.value for measure in outcome.measures if measure.key == "auc")
        second = [f"{auc:.3f}" for auc in (own, *(other.auc or 0.0 for other in others))]
    for row, cell in zip(rows, second, strict=True):
        row.insert(2, cell)
    words = (
        f"The {model} model has no hidden layer. minigrad trained it on the same {found.train_rows:,} rows, with L2, "
        f"for at least {BASELINE_STEPS:,} steps of Adam. Better and worse are meant by the 95 % interval of the "
        "difference, which is found row by row: where it holds 0, these rows can’t tell the two apart."
    )
    if any("trees" in other.name for other in others):
        words += " The boosted trees are scikit-learn’s, with its settings, on the same rows and columns."
    spread = f"<p>O{escape(spread_text(found)[1:])}.</p>" if found.spread else ""
    who = f"<p>Who wins: <strong>{escape(winner(found))}</strong>.</p>"
    return f"<h2>Against simpler answers</h2><p>{escape(words)}</p>{html_table(head, rows)}{who}{spread}"


def _measures(outcome: Classification | Regression) -> str:
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


def _thresholds(outcome: Classification) -> str:
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


def _learning(found: Evaluation, drawn: bool) -> str:
    history, outcome = found.history, found.outcome
    words = (
        f"{len(history)} epochs. The training loss is the mean over the epoch, before each step and with the penalty, "
        f"so it can lie above that of the validation rows, which are not trained on. At the end, {outcome.measure} is "
        f"{score_text(outcome.train_score, outcome)} on the training rows and {score_text(outcome.score, outcome)} on "
        "those held out."
    )
    if history.best_epoch is not None:
        place = ", where the dotted line stands" if drawn else ""
        words += f" The parameters are those of epoch {history.best_epoch}{place}."
    if drawn:
        shown = drawing(lambda ax: plots.learning_curves(history, ax), (5.6, 2.6), "loss by epoch")
    else:
        shown = history._repr_html_()
    return f"<h2>Learning</h2><p>{escape(words)}</p>{shown}"


def _classes(outcome: Classification) -> str:
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


def _confusion(outcome: Classification, drawn: bool) -> str:
    classes, matrix = outcome.classes, outcome.held_out_matrix
    if len(classes) > CLASSES_DRAWN:
        return ""
    if not drawn:
        rows = [[name, *counts] for name, counts in zip(classes, matrix.tolist(), strict=True)]
        table = html_table(["true \\ predicted", *classes], rows)
        return f'<h2>What is taken for what</h2><div class="scroll">{table}</div>'
    side = min(max(3.8, 0.42 * len(classes) + 1), 9)
    left = drawing(
        lambda ax: plots.confusion(matrix, classes, ax), (side, side), "confusion matrix",
        "Held-out rows by true class (down) and answer (across); right answers lie on the diagonal.",
    )  # fmt: skip
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
    return drawing(
        lambda ax: plots.reliability(confidence, right, ax, labels=labels), (4.4, 4.4), "reliability", caption
    )


def _residuals(outcome: Regression) -> str:
    picture = drawing(
        lambda ax: plots.residuals(outcome.truth, outcome.answers, ax), (5.6, 3), "residuals against predictions",
        "Each point is a held-out row. A band around 0 of even height is what a good model leaves; a bend is something "
        "it has missed, a funnel means that large answers are less certain.",
    )  # fmt: skip
    return f"<h2>What is left over</h2>{picture}"


def _mistakes(found: Evaluation, drawn: bool) -> str:
    if not found.mistakes:
        return "<h2>Most confidently wrong</h2><p>No held-out row was answered wrongly.</p>"
    classes = isinstance(found.outcome, Classification)
    title = "Most confidently wrong" if classes else "Furthest off"
    words = (
        "The wrong answers with the largest outputs. Look at them: they are often mislabelled, or of a kind "
        "that the training rows lack. Rows are numbered as in the data."
        if classes
        else "The held-out rows with the largest errors. Look at them first: they are often mistyped."
    )
    if drawn and found.pictures:
        low, high = (float(f([mistake.x for mistake in found.mistakes])) for f in (np.min, np.max))
        tiles = "".join(
            f"<li>{tile(m.x, 'gray', low, high, f'row {m.row}')}<span>{_told(m, classes)}</span></li>"
            for m in found.mistakes
        )
        return f'<h2>{title}</h2><p>{words}</p><ul class="tiles">{tiles}</ul>'
    if classes:
        head = ["row", "answer", "output", "truth", "its output"]
        rows = [[f"{m.row:,}", m.answer, f"{m.size:.3f}", m.truth, f"{m.truth_output:.3f}"] for m in found.mistakes]
    else:
        head = ["row", "answer", "truth", "off by"]
        rows = [[f"{m.row:,}", _shown(m.answer), _shown(m.truth), amount(m.size)] for m in found.mistakes]
    return f"<h2>{title}</h2><p>{words}</p>{html_table(head, rows)}"


def _told(mistake: Mistake, classes: bool) -> str:
    row = f"<small>row {mistake.row:,}</small>"
    if not classes:
        return f"{_shown(mistake.answer)}, truly {_shown(mistake.truth)}<br>{row}"
    return (
        f"<strong>{escape(str(mistake.answer))}</strong> <small>({mistake.size:.2f})</small><br>"
        f"truly {escape(str(mistake.truth))} <small>({mistake.truth_output:.2f})</small><br>{row}"
    )


def _weights(found: Evaluation) -> str:
    if found.first_weights is None:
        return ""
    units = found.first_weights
    high = float(abs(units).max())
    tiles = "".join(
        f"<li>{tile(unit, plots.signed_colors(), -high, high, f'weights of unit {place}')}</li>"
        for place, unit in enumerate(units[:UNITS_SHOWN], 1)
    )
    some = f"The first {UNITS_SHOWN} of {len(units)} units" if len(units) > UNITS_SHOWN else f"All {len(units)} units"
    return (
        f"<h2>What the first layer looks at</h2><p>{some}: what is bright on blue speaks for the unit, "
        "what is bright on orange against it. All are on one scale.</p>"
        f'<ul class="tiles">{tiles}</ul>'
    )


def _method(found: Evaluation, settings: dict[str, Any], notes: Sequence[tuple[str, str]], seconds: float) -> str:
    stratified = isinstance(found.outcome, Classification) and not found.drawn
    drawn = found.drawn or "drawn at random"
    split = f"{found.train_rows:,} rows to train on and {found.held_out_rows:,} held out, {drawn}"
    if stratified:
        split += (
            " within each class (stratified), so that both parts have the classes in the same proportions; a rare "
            "class could otherwise be missing from one of them by chance"
        )
    split += ". The held-out rows had no part in training."
    steps = f"{settings['optimizer']} at rate {settings['learning_rate']:g}, L2 {settings['l2']:.3g}"
    training = (
        f"{len(found.history)} epochs in batches of {settings['batch_size']}; {steps}; seed {settings['seed']}; "
        f"{seconds:.2f} s"
    )
    rows = [
        ["data", f"{found.train_rows + found.held_out_rows:,} rows of {found.features:,} numbers"],
        ["split", split],
        ["training", training],
        *([name, text] for name, text in notes),
    ]
    table = "".join(f'<tr><th scope="row">{marked(name)}</th><td>{marked(text)}</td></tr>' for name, text in rows)
    return (
        f'<h2>How it was done</h2><table class="words-table"><tbody>{table}</tbody></table>'
        f"<pre>{escape(found.summary)}</pre>"
    )


def _shown(value: Any) -> str:
    return amount(value) if isinstance(value, float) else ", ".join(map(amount, value))
