"""The look of a report: by day and by night, wide, on a phone and on paper."""

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
@media (max-width: 46rem) { td { white-space: normal; } tbody th { min-width: 6.5rem; } }
@media (max-width: 30rem) { main { padding: 1.4rem 1rem 3rem; } .verdict { padding: 1.1rem; }
  th, td { padding-left: .25rem; padding-right: .25rem; } table { font-size: .92rem; }
  .race { grid-template-columns: 1fr auto; gap: .1rem .5rem; } .race dt { grid-column: 1; }
  .race dt, .race .number { grid-row: calc(2 * var(--lane) + 1); } .race .number { grid-column: 2; }
  .race .bar-cell { grid-column: 1 / -1; grid-row: calc(2 * var(--lane) + 2); margin-bottom: .35rem; } }
@media print { body { background: none; } h2 { break-after: avoid; } figure, tr, .warning { break-inside: avoid; } }
"""
