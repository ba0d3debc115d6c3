"""The style and the script of the status page, and the policy that lets nothing else run.

The script fetches /status.json every two seconds and writes it into the places that the page has already:
texts through `textContent`, bars as numbers. It never makes an element.
"""

from __future__ import annotations

import base64
import hashlib

__all__ = ["CHART_HEIGHT", "POLICY", "SCRIPT", "STYLE", "hash_of"]

#: The units of the chart's own coordinates; a minute is one of its 60 columns.
CHART_HEIGHT = 24

STYLE = """
:root { color-scheme: light dark; --back: #f4f6f8; --card: #fff; --ink: #1b1f24; --dim: #57606a;
  --line: #d8dee4; --bar: #0969da; --good: #116329; --wait: #7d4e00; --bad: #a40e26;
  --good-back: #dafbe1; --wait-back: #fff3c4; --bad-back: #ffebe9 }
@media (prefers-color-scheme: dark) {
  :root { --back: #0d1117; --card: #161b22; --ink: #e6edf3; --dim: #9ea7b1;
    --line: #30363d; --bar: #58a6ff; --good: #56d364; --wait: #e3b341; --bad: #ff938a;
    --good-back: #12261e; --wait-back: #2e2a1f; --bad-back: #301b1e } }
* { box-sizing: border-box }
[hidden] { display: none !important }
body { font: 16px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 80rem; margin: 0 auto; padding: 1.25rem 1rem 2rem }
a { color: inherit }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px }
header { display: flex; flex-wrap: wrap; gap: .1rem 1rem; align-items: baseline; margin-bottom: 1rem }
h1 { font-size: 1.5rem; letter-spacing: -.02em; margin: 0 }
header p { margin: 0 }
#summary { font-weight: 600 }
.dim, footer { color: var(--dim); font-size: .875rem }
header .dim { flex-basis: 100% }
#silent { flex-basis: 100%; margin: .6rem 0 0; padding: .6rem .8rem; border-radius: .5rem; font-weight: 600;
  color: var(--bad); background: var(--bad-back) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 500; color: var(--dim); font-size: .875rem }
th, td { padding: .3rem .75rem .3rem 0; vertical-align: baseline }
th:last-child, td:last-child { padding-right: 0 }
tbody tr { border-top: 1px solid var(--line) }
tbody th { overflow-wrap: anywhere }
.number { text-align: right; white-space: nowrap }
nav, article { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1rem 1.15rem; min-width: 0 }
nav { margin-bottom: 1rem; padding-block: .5rem }
nav th { color: var(--ink); font-size: 1rem }
nav thead th { color: var(--dim); font-size: .875rem }
main { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)) }
article > * + * { margin-top: 1rem !important }
article.alone { grid-column: 1 / -1 }
.top { display: flex; justify-content: space-between; align-items: start; gap: .75rem }
figure, h2, h3, .figures { margin: 0 }
h2 { font-size: 1.2rem; overflow-wrap: anywhere; min-width: 0 }
h3 { font-size: .875rem; font-weight: 500; color: var(--dim) }
.state { font-weight: 600; font-size: .875rem; white-space: nowrap; padding: .1rem .6rem;
  border-radius: 1rem; color: var(--bad); background: var(--bad-back); margin: 0 }
.state::before { content: "\\25A0\\00A0" }
.state[data-state=collecting] { color: var(--good); background: var(--good-back) }
.state[data-state=collecting]::before { content: "\\25CF\\00A0" }
.state[data-state=starting], .state[data-state=stopping], .state[data-state=retrying] {
  color: var(--wait); background: var(--wait-back) }
.state[data-state=starting]::before, .state[data-state=stopping]::before,
.state[data-state=retrying]::before { content: "\\25B2\\00A0" }
.look { color: var(--wait); font-size: .875rem; margin: .2rem 0 0 }
.meaning { color: var(--dim); margin: .2rem 0 0; font-size: .9375rem }
.note { border-left: .3rem solid var(--bad); background: var(--bad-back); border-radius: .3rem;
  padding: .5rem .75rem; font-size: .9375rem; overflow-wrap: anywhere }
.note h3 { color: var(--ink); font-weight: 600 }
.note.warning { border-color: var(--wait); background: var(--wait-back) }
.note p { margin: .2rem 0 0 }
article:has(> div .state[data-state=collecting]) .note:not(.warning) {
  border-color: var(--line); background: none; color: var(--dim) }
.figures { display: grid; gap: .75rem .75rem;
  grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)) }
.figures dt { color: var(--dim); font-size: .875rem }
.figures dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.figures dd:not(.dim) { font-weight: 650; font-size: 1.15rem; line-height: 1.3 }
svg { display: block; width: 100%; height: 4.5rem; border-bottom: 1px solid var(--line); margin-top: .3rem;
  background: linear-gradient(var(--line) 1px, transparent 1px) 0 0 / 100% 50% }
rect { fill: var(--bar) }
figcaption, .axis { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem;
  color: var(--dim); font-size: .875rem }
.axis { font-size: .8125rem; padding-top: .15rem }
.pair { display: grid; gap: 1rem 2.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) }
.clock { display: grid; grid-template-columns: 5.5rem 6rem 1fr; gap: .1rem .75rem; align-items: center;
  font-size: .9375rem; margin: .2rem 0 }
.clock p { margin: 0; overflow-wrap: anywhere; grid-column: 1 / -1; color: var(--dim); font-size: .875rem }
meter { width: 100%; height: 1rem }
summary { cursor: pointer; color: var(--dim); font-size: .875rem }
details dl { margin: .5rem 0 0 }
details div { display: flex; justify-content: space-between; gap: 1rem; border-top: 1px solid var(--line);
  padding: .15rem 0; font-size: .9375rem }
details dd { margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
footer { margin-top: 1.25rem; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
@media (max-width: 40rem) {
  body { padding: .75rem .6rem 1.5rem }
  .wide { display: none }
  article, nav { padding: .8rem .85rem }
  .figures { grid-template-columns: 1fr 1fr }
  .figures dd:not(.dim) { font-size: 1.05rem }
  .clock { grid-template-columns: 5.5rem 4rem 1fr } }
"""

SCRIPT = r"""
"use strict";
const HEIGHT = 24;
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");
function asText(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return grouped(value);
  if (typeof value !== "object") return String(value);
  if (typeof value.text === "string") return value.text;
  return Object.entries(value).map(([name, one]) => name + ": " + asText(one)).join("; ");
}
const at = (status, steps) => JSON.parse(steps).reduce((found, step) => found && found[step], status);
function write(status) {
  for (const place of document.querySelectorAll("[data-at]")) {
    const text = asText(at(status, place.dataset.at));
    if (place.textContent !== text) place.textContent = text;
    if (place.dataset.state !== undefined) place.dataset.state = text;
  }
  for (const place of document.querySelectorAll("[data-if]"))
    place.hidden = asText(at(status, place.dataset.if)) === "";
  for (const meter of document.querySelectorAll("meter"))
    meter.value = at(status, meter.dataset.value) || 0;
  for (const chart of document.querySelectorAll("svg")) {
    const minutes = at(status, chart.dataset.bars), most = Math.max(1, ...minutes);
    minutes.forEach((count, minute) => {
      const bar = chart.children[minute], height = HEIGHT * count / most;
      bar.height.baseVal.value = height;
      bar.y.baseVal.value = HEIGHT - height;
    });
  }
}
async function refresh() {
  const silent = document.getElementById("silent");
  try {
    const answer = await fetch("/status.json", {cache: "no-store"});
    if (!answer.ok) throw new Error("HTTP " + answer.status);
    const status = await answer.json();
    const shape = JSON.stringify([status.started, ...status.inputs.map((one) => one.name)]);
    if (shape !== document.body.dataset.shape) return location.reload();
    write(status);
    silent.hidden = true;
  } catch (error) {
    silent.hidden = false;
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
"""


def hash_of(text: str) -> str:
    """How a policy names one inline style or script."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


#: https://www.w3.org/TR/CSP3: nothing but our own style and script, and the script talks to us only.
POLICY = (
    f"default-src 'none'; style-src {hash_of(STYLE)}; script-src {hash_of(SCRIPT)}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
