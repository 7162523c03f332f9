"""The report as one HTML page: readable offline, on a phone, by day and by night, and by a screen reader."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from minigrad import plots
from minigrad.display import Markup, html_table, marked
from minigrad.results.baselines import BASELINE_STEPS
from minigrad.results.drawing import drawing, tile
from minigrad.results.outcome import Baseline, Classification, Evaluation, Mistake, Regression
from minigrad.results.words import against, amount, percent, score_text, spread_text

UNITS_SHOWN = 32  # pictures of weights
CLASSES_DRAWN = 40  # a larger confusion matrix can't be read

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --page: #fcfcfa; --card: #ffffff; --line: #dfe2e6;
  --blue: #2f6fde; --wash: #2f6fde24; --amber: #9a5b00; --amber-wash: #e07b1a1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a0a8b2; --page: #15181c; --card: #1d2126;
  --line: #343a42; --blue: #6ea3ff; --wash: #6ea3ff2e; --amber: #f0b35a; --amber-wash: #e07b1a24; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
main { max-width: 54rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
.kicker { margin: 0; color: var(--soft); font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; }
h1 { overflow-wrap: anywhere; margin: .15rem 0 1.5rem; font-size: 1.5rem; line-height: 1.25; font-weight: 650; }
h2 { margin: 3rem 0 .6rem; font-size: 1.2rem; line-height: 1.3; font-weight: 650; }
p { margin: .6rem 0; max-width: 42rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
.verdict { padding: 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
.verdict .score { margin: 0; font-size: clamp(2.9rem, 11vw, 4.5rem); line-height: 1; font-weight: 680;
  letter-spacing: -.03em; }
.verdict .score small { font-size: .42em; font-weight: 500; letter-spacing: 0; }
.verdict .what { margin: .4rem 0 1rem; color: var(--soft); }
.verdict .words { font-size: 1.08rem; margin: 1.1rem 0 0; }
.race { display: grid; grid-template-columns: minmax(6.5rem, auto) 1fr 4rem; gap: .55rem .9rem; align-items: center;
  margin: 0; }
.race dt { color: var(--soft); line-height: 1.25; font-size: .95rem; }
.race .own, .race .own + dd + dd { color: var(--ink); font-weight: 650; }
.race dd { margin: 0; }
.race .number { text-align: right; }
.track { position: relative; height: 1.5rem; border-left: 1px solid var(--line); border-right: 1px solid var(--line);
  background: linear-gradient(var(--line), var(--line)) center / 100% 1px no-repeat; }
.track i { position: absolute; top: .45rem; height: .6rem; background: var(--wash); border-radius: .3rem; }
.track b { position: absolute; top: .4rem; width: .7rem; height: .7rem; margin-left: -.35rem; border-radius: 50%;
  background: var(--card); border: 2px solid var(--soft); }
.own + dd .track i { background: var(--blue); opacity: .35; }
.own + dd .track b { background: var(--blue); border-color: var(--blue); }
.warning { margin: 1rem 0 0; padding: .8rem 1.1rem; background: var(--amber-wash); border-left: 4px solid var(--amber);
  border-radius: 0 10px 10px 0; max-width: none; }
.warning strong { color: var(--amber); }
.warning p { margin: .2rem 0 0; font-size: .95rem; max-width: 46rem; }
table { width: 100%; border-collapse: collapse; margin: .8rem 0; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { padding: .42rem .5rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line);
  font-weight: 400; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-size: .85rem; vertical-align: bottom; border-bottom-color: var(--soft); }
td { white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; }
td small { display: block; color: var(--soft); font-size: .78rem; white-space: nowrap; }
.words-table td { text-align: left; white-space: normal; }
.words-table th { padding-right: 1.2rem; white-space: nowrap; overflow-wrap: normal; }
.bar { display: block; height: 3px; margin: .1rem 0 0 auto; background: var(--blue); border-radius: 2px; }
.scroll { overflow-x: auto; }
figure { margin: .8rem 0; }
figure svg { display: block; width: 100%; height: auto; color: var(--ink); }
figure svg text { font-family: inherit; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 0 2rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.2rem, 1fr)); gap: 1rem .8rem; padding: 0;
  list-style: none; }
.tiles img { display: block; width: 100%; border-radius: 6px; image-rendering: pixelated;
  border: 1px solid var(--line); }
.tiles span { display: block; margin-top: .25rem; font-size: .8rem; line-height: 1.35; }
.tiles small { color: var(--soft); font-size: 1em; }
pre { overflow-x: auto; padding: .9rem 1rem; font: .84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow-wrap: normal; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .9rem; }
@media (max-width: 30rem) { main { padding: 1.4rem 1rem 3rem; } .verdict { padding: 1.1rem; }
  th, td { padding-left: .25rem; padding-right: .25rem; } table { font-size: .92rem; }
  .race { grid-template-columns: 1fr auto; gap: .1rem .5rem; } .race dt { grid-column: 1; }
  .race dt, .race .number { grid-row: calc(2 * var(--lane) + 1); } .race .number { grid-column: 2; }
  .race .bar-cell { grid-column: 1 / -1; grid-row: calc(2 * var(--lane) + 2); margin-bottom: .35rem; } }
@media print { body { background: none; } h2 { break-after: avoid; } figure, tr, .warning { break-inside: avoid; } }
"""


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
    if isinstance(outcome, Classification):
        parts += [_classes(outcome), _confusion(outcome, drawn)]
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
        return Markup(f"{escape(other.verdict)}<small>{between}</small>")

    rows: list[list[object]] = [["this network", score_text(outcome.score, outcome), ""]]
    rows += [[other.name, score_text(other.score, outcome), gain(other)] for other in reversed(found.baselines)]
    head: list[object] = ["", outcome.measure, "the network is …"]
    if isinstance(outcome, Regression):
        head.insert(2, "mean error")
        for row, error in zip(
            rows, [outcome.error, *(other.error for other in reversed(found.baselines))], strict=True
        ):
            assert error is not None  # it is, of numbers
            row.insert(2, amount(error))
    words = (
        f"The {model} model has no hidden layer. minigrad trained it on the same {found.train_rows:,} rows, with L2, "
        f"for at least {BASELINE_STEPS:,} steps of Adam. Better and worse are meant by the 95 % interval of the "
        "difference, which is found row by row: where it holds 0, these rows can’t tell the two apart."
    )
    spread = f"<p>O{escape(spread_text(found)[1:])}.</p>" if found.spread else ""
    return f"<h2>Against simpler answers</h2><p>{escape(words)}</p>{html_table(head, rows)}{spread}"


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
    probable = outcome.confidence.min() >= 0 and outcome.confidence.max() <= 1
    right = drawing(
        lambda ax: plots.reliability(outcome.confidence, outcome.right, ax), (4.4, 4.4), "reliability",
        "Can the outputs be believed? Each point is a tenth of the held-out rows. Above the line, the network is "
        "right more often than its output says; below it, less often.",
    ) if probable else ""  # fmt: skip
    return f'<h2>What is taken for what</h2><div class="pair">{left}{right}</div>'


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
    stratified = isinstance(found.outcome, Classification)
    split = f"{found.train_rows:,} rows to train on and {found.held_out_rows:,} held out, drawn at random"
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
