/** What the functions have logged of a run; it is read when it is opened. */

import { logged } from "./aws.js";
import { button, h, show } from "./dom.js";
import { fact } from "./facts.js";

/** Make the place for one run's log lines. */
export function logOf() {
  const said = h("p.bad.said", { role: "alert" }), place = h("div.loglines");
  let run = null, lines = null;
  const again = button("Read again", "Reading", read, { kind: ".small", said: (text) => { said.textContent = text; } });
  const element = h("details.log", { ontoggle: () => element.open && !lines && again.click() }, h("summary", {}, "Log lines"), h("div.buttons", {}, again), said, place);

  async function read() {
    const mine = run;
    const found = await fact("log_lines", { events: await logged(mine.name, mine.started) });
    if (mine.name !== run?.name) return;
    lines = found;
    draw();
  }

  function draw() {
    show(place, lines, () => lines && (lines.length ? h("pre", { tabindex: 0, role: "region", "aria-label": "Log lines" }, lines.join("\n")) : h("p.note", {}, "The functions have logged nothing of this run yet.")));
  }

  function reset() {
    lines = null;
    element.open = false;
    draw();
  }

  return { element, reset, render: (now) => { run = now; } };
}
