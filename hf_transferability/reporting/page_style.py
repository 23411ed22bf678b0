"""How the page of a ranking looks, and the script that sorts its table: constants of `html`."""

import base64
import hashlib

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #222; --paper: #fff; --faint: #5f5f5f; --line: #dedede; --strong: #6b6b6b; --bad: #a03c00; --box: #eef4fa;
  --edge: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8e8e8; --paper: #16181b; --faint: #a8a8a8; --line: #3a3d42; --strong: #8b8b8b; --bad: #ff9d66; --box: #1f2a35;
    --edge: #56b4e9;
  }
}
body {
  font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; padding: 1.2rem;
  max-width: 80rem;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
p, li, dd { max-width: 46rem; }
.decision { background: var(--box); border-left: .3rem solid var(--edge); padding: .6rem 1rem; }
.decision p { margin: .3rem 0; overflow-wrap: anywhere; }
.decision p:first-child { font-size: 1.1rem; font-weight: 600; }
.decision .command { display: block; padding: .3rem 0; }
.word { display: inline-block; max-width: 100%; }
.swipe { display: none; color: var(--faint); }
.wide { overflow-x: auto; }
.wide:focus-visible, button:focus-visible, summary:focus-visible { outline: 2px solid var(--edge); outline-offset: 1px; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td {
  text-align: right; padding: .28rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap;
}
th { border-bottom: 2px solid var(--strong); vertical-align: bottom; white-space: normal; }
th button { all: unset; cursor: pointer; font-weight: 700; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
td.text, th.text { text-align: left; }
td.name { white-space: normal; min-width: 11rem; overflow-wrap: break-word; }
.sortable td.name, .sortable th.name { position: sticky; left: 0; background: var(--paper); }
td.flags { white-space: normal; min-width: 7rem; }
.failed { color: var(--bad); }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
.pictures .wide { flex: 1 1 30rem; min-width: 0; max-width: 40rem; }
.pictures .whole { flex-basis: 100%; max-width: none; }
.pictures .whole img { min-width: 42rem; }
img { display: block; width: 100%; height: auto; min-width: 30rem; max-width: 62rem; border-radius: .2rem; }
details { margin: .8rem 0; border-bottom: 1px solid var(--line); }
summary { cursor: pointer; font-size: 1.1rem; font-weight: 600; padding: .3rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
code { font-size: .92em; overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; color: var(--faint); font-size: .87rem; }
@media (max-width: 40rem) {
  body { padding: .8rem; font-size: 15px; }
  dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .4rem; }
  td.name { min-width: 8rem; max-width: 9rem; }
  .swipe { display: block; }
  img, .pictures .whole img { min-width: 18.5rem; max-width: 36rem; }
}
@media print { .wide { overflow: visible; } table { font-size: .7rem; } }
"""

# Titles become buttons, so that the keyboard reaches them; without a script the table stays as it is. What is no number comes
# last in either direction.
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const units = { k: 1e3, M: 1e6, B: 1e9 };
  const value = (row, place, text) => {
    const shown = row.cells[place].textContent.trim();
    return text ? shown.toLowerCase() : parseFloat(shown) * (units[shown.slice(-1)] || 1);
  };
  heads.forEach((head, place) => {
    const text = head.classList.contains("text"), button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const missing = x => x === "" || x !== x;
      body.append(...[...body.rows].sort((one, two) => {
        const a = value(one, place, text), b = value(two, place, text);
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return sign * (a < b ? -1 : a > b);
      }));
    });
  });
}
"""

# The browser runs this script and no other, and loads nothing.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
