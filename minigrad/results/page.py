"""The report as one HTML page: readable offline, on a phone, by day and by night, and by a screen reader."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from minigrad.display import Markup, html_table, marked
from minigrad.results.drawing import learning_curves, residuals, tile
from minigrad.results.figures import classes_section, confusion_section, measures_section, thresholds_section
from minigrad.results.messages import (
    against,
    amount,
    coverage_text,
    percent,
    score_text,
    spread_text,
    training_text,
    winner,
)
from minigrad.results.outcome import Baseline, Classification, Evaluation, Mistake, Regression
from minigrad.results.style import STYLE

UNITS_SHOWN = 32  # pictures of weights


def render(
    data: str,
    found: Evaluation,
    settings: dict[str, Any],
    notes: Sequence[tuple[str, str]],
    seconds: float,
    columns: str = "",
) -> str:
    """The whole page. `data` is the name of the data, `settings` and `notes` are those of a `Result`.

    `columns` is the section about which columns matter.
    """
    outcome = found.outcome
    parts = [_first_screen(data, found), _cautions(found), _baselines(found)]
    parts.append(_learning(found, settings))
    parts.append(measures_section(outcome))
    if isinstance(outcome, Classification):
        parts += [thresholds_section(outcome), classes_section(outcome), confusion_section(outcome)]
    else:
        parts.append(_residuals(outcome))
    parts += [
        columns,
        _mistakes(found),
        _weights(found),
        _method(found, settings, notes, seconds),
    ]
    return whole(data, parts)


def whole(title: str, parts: Sequence[str]) -> str:
    """The page around its sections."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: minigrad report</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n<footer>Made by minigrad. Every number is about rows that the network has not seen, unless it says "
        "“training”.</footer>\n</main></body></html>\n"
    )


# ---------------------------------------------------------------------------------------------------------- sections
def _first_screen(data: str, found: Evaluation) -> str:
    outcome, (low, high) = found.outcome, found.outcome.interval
    own, scores = outcome.score, [other.score for other in found.baselines]
    if isinstance(outcome, Classification) and outcome.unbalanced is not None:
        auc = outcome.measures[0]
        own, (low, high), scores = auc.value, auc.interval, [other.auc or 0.0 for other in found.baselines]
        number, least = f"{own:.3f}<small> AUC</small>", 0.5
        what = (
            f"on {found.held_out_rows:,} held-out rows; 95 % interval {low:.3f} to {high:.3f}; chance has 0.5; "
            f"{percent(outcome.score)} of the rows right"
        )
    elif isinstance(outcome, Classification):
        number, least = f"{100 * own:.1f}<small> %</small>", 0.0
        what = f"of {found.held_out_rows:,} held-out rows right; 95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    else:
        number, least = f"{own:.3f}<small> R²</small>", min(0.0, low, *scores)
        what = (
            f"on {found.held_out_rows:,} held-out rows; 95 % interval {low:.3f} to {high:.3f}; "
            f"mean error {amount(outcome.error)}"
        )
    by_auc = isinstance(outcome, Classification) and outcome.unbalanced is not None

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
            f'<dd {row} class="number">{f"{score:.3f}" if by_auc else score_text(score, outcome)}</dd>'
        )

    lanes = [lane(0, "this network", own, (low, high))]
    others = zip(reversed(found.baselines), reversed(scores), strict=True)
    lanes += [lane(n, other.name, score) for n, (other, score) in enumerate(others, 1)]
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
        f"The {model} model has no hidden layer. minigrad solved it on the same {found.train_rows:,} rows, with L2, "
        "by Newton's method. Better and worse are meant by the 95 % interval of the "
        "difference, which is found row by row: where it holds 0, these rows can’t tell the two apart."
    )
    if any("trees" in other.name for other in others):
        words += " The boosted trees are scikit-learn’s, with its settings, on the same rows and columns."
    spread = f"<p>O{escape(spread_text(found)[1:])}.</p>" if found.spread else ""
    who = f"<p>Who wins: <strong>{escape(winner(found))}</strong>.</p>"
    return f"<h2>Against simpler answers</h2><p>{escape(words)}</p>{html_table(head, rows)}{who}{spread}"


def _learning(found: Evaluation, settings: dict[str, Any]) -> str:
    history, outcome = found.history, found.outcome
    how = f"Newton's method has found the best weights in {len(history)} steps."
    if "learning_rate" in settings:
        how = (
            f"{len(history)} epochs. The training loss is the mean over the epoch, before each step and with the "
            "penalty, so it can lie above that of the validation rows, which are not trained on."
        )
    words = (
        f"{how} At the end, {outcome.measure} is "
        f"{score_text(outcome.train_score, outcome)} on the training rows and {score_text(outcome.score, outcome)} on "
        "those held out."
    )
    if history.best_epoch is not None:
        words += f" The parameters are those of epoch {history.best_epoch}, where the dotted line stands."
    return f"<h2>Learning</h2><p>{escape(words)}</p>{learning_curves(history)}"


def _residuals(outcome: Regression) -> str:
    caption = (
        "Each point is a held-out row. A band around 0 of even height is what a good model leaves; a bend is something "
        "it has missed, a funnel means that large answers are less certain."
    )
    picture = residuals(outcome.truth, outcome.answers, caption)
    held = "" if outcome.coverage is None else f"<p>{escape(_capital(coverage_text(outcome.coverage)))}.</p>"
    return f"<h2>What is left over</h2>{picture}{held}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _mistakes(found: Evaluation) -> str:
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
    if found.pictures:
        low, high = (float(f([mistake.x for mistake in found.mistakes])) for f in (np.min, np.max))
        tiles = "".join(
            f"<li>{tile(m.x, f'row {m.row}', low, high)}<span>{_told(m, classes)}</span></li>" for m in found.mistakes
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
        f"<li>{tile(unit, f'weights of unit {place}', -high, high, signed=True)}</li>"
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
    training = f"{training_text(settings, found.history)}; seed {settings['seed']}; {seconds:.2f} s"
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
