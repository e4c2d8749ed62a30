/** Several runs that were chosen in the list, and what is done with all of them. */

import { button, counted, h, show } from "./dom.js";
import { redrive, release, runAgain, stop } from "./runs.js";

const ACTS = [
  { label: "Redrive", busy: "Redriving", fits: (run) => run.ended_badly && run.redrivable, work: redrive },
  { label: "Release", busy: "Releasing", fits: (run) => run.open_hold && !run.released_by, work: release },
  { label: "Run again", busy: "Starting", fits: (run) => run.key && !run.running, work: runAgain },
  { label: "Stop", busy: "Stopping", fits: (run) => run.running, work: stop },
];

/** Make the bar; `redraw` shows the list anew. */
export function severalOf(app, redraw) {
  const said = h("p.bad.said", { role: "alert" }), buttons = h("div.buttons");
  const element = h("div.several", { role: "group", "aria-label": "With the chosen runs", hidden: true }, buttons, said);
  const chosen = new Set();

  /** A box to choose a run with. */
  const box = (run) => h("input", { type: "checkbox", "data-key": `choose ${run.name}`, "aria-label": `Choose ${run.key || run.name}`, checked: chosen.has(run.name), onchange: (event) => {
    if (event.target.checked) chosen.add(run.name);
    else chosen.delete(run.name);
    redraw();
  } });

  async function all(act, runs) {
    const failed = [];
    let done = 0;
    for (const run of runs) {
      try {
        await act.work(run, app.stack.outputs.TurnsTable);
        chosen.delete(run.name);
        done += 1;
      } catch (error) {
        failed.push(`${run.key || run.name}: ${error.message}`);
      }
      app.say(`${act.label}: ${done.toLocaleString("en")} of ${counted(runs.length, "run")}`);
    }
    await app.poke();
    if (failed.length) throw new Error(`it failed for ${counted(failed.length, "run")}: ${failed.slice(0, 3).join("; ")}${failed.length > 3 ? "; …" : ""}`);
  }

  /** Show what can be done with those that are chosen and listed. */
  function render(listed) {
    const runs = listed.filter((run) => chosen.has(run.name));
    element.hidden = !runs.length && !said.textContent;
    show(buttons, runs.map((run) => [run.name, run.status, run.released_by]), () => [
      h("span.note", {}, `${runs.length.toLocaleString("en")} chosen`),
      ...ACTS.map((act) => [act, runs.filter(act.fits)]).filter(([, fit]) => fit.length).map(([act, fit]) =>
        button(`${act.label} ${fit.length.toLocaleString("en")}`, act.busy, () => all(act, fit), { kind: ".small", said: (text) => { said.textContent = text; } })),
      pair(runs),
      h("button.small", { type: "button", onclick: () => listed.forEach((run) => chosen.add(run.name)) || redraw() }, `All ${listed.length.toLocaleString("en")}`),
      h("button.small", { type: "button", onclick: () => {
        chosen.clear();
        said.textContent = "";
        redraw();
      } }, "None"),
    ]);
  }

  return { element, box, render, chosen };
}

/** The link that lays two runs of a route side by side. */
function pair(runs) {
  if (runs.length !== 2 || !runs[0].route || runs[0].route !== runs[1].route) return null;
  const [later, earlier] = runs.map((run) => encodeURIComponent(run.name));
  return h("a", { href: `#/compare/${earlier}/${later}` }, "Side by side");
}
