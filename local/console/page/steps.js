/** A run's states: the picture, how long each took, and what went in and out. */

import { counted, duration, h, moment, running, show, svg } from "./dom.js";
import { picture } from "./picture.js";

const MARKS = { current: "●", done: "✓", failed: "✗", stopped: "■" };
const WORDS = { current: "current", done: "done", failed: "failed", stopped: "stopped" };

/** Make the place for the states of one run. */
export function stepsOf() {
  const drawn = h("div.drawn"), rows = h("ol.steps", { "aria-label": "States", onkeydown: arrows }), data = h("div.data");
  const place = h("div", {}, drawn), around = h("div.around", { tabindex: 0, role: "group", "aria-label": "Picture, to be scrolled" });
  const large = h("dialog.large", { "aria-label": "State machine", onclose: () => place.append(drawn) },
    h("div.picturehead", {}, h("h2", {}, "State machine"), h("button", { type: "button", onclick: () => large.close() }, "Close")), around);
  const element = h("section.states", { "aria-label": "States" },
    h("div.picturebox", {}, h("div.picturehead", {}, h("h3", {}, "State machine"), h("button.small", { type: "button", onclick: enlarge }, "Enlarge")), place, large),
    h("div.stepsbox", {}, h("h3", {}, "Steps"), rows, data));
  let chosen = "", visit = null, last = null;

  /** Open the picture large enough to be read, at the state that is shown. */
  function enlarge() {
    around.append(drawn);
    large.showModal();
    drawn.querySelector(".selected")?.scrollIntoView({ block: "center", inline: "center" });
  }

  function reset() {
    large.close();
    chosen = "";
    visit = null;
  }

  /** Choose a state, and of its visits the last. */
  function choose(name) {
    chosen = name;
    visit = null;
    render(...last);
  }

  /** Show the states as they are now; until a person has chosen one, the current one's data. */
  function render(run, definition, known, history) {
    last = [run, definition, known, history];
    element.hidden = !definition;
    if (!definition) return;
    const shown = known.find((step) => step.name === chosen) ?? interesting(known);
    show(drawn, definition, () => draw(definition));
    light(drawn, known, shown?.name);
    show(rows, [known.map((step) => [step.name, step.status, step.visits.map((each) => each.stretches)]), shown?.name], () => known.map((step) => row(step, step === shown, choose)));
    stretch(rows, run.started, run.stopped ?? Date.now());
    const at = Math.min(visit ?? Infinity, (shown?.visits.length ?? 1) - 1);
    show(data, [shown?.name, at, shown?.visits[at], shown?.visits.length], () => shown ? details(shown, at, history, run.message, (to) => {
      chosen = shown.name;
      visit = to;
      render(...last);
    }) : h("p.note", {}, "It has entered no state yet."));
  }

  function draw(definition) {
    const image = svg(picture(definition, "The state machine; the list of steps tells the same").tree);
    image.addEventListener("click", (event) => {
      const name = event.target.closest("[data-state]")?.dataset.state;
      if (name && rows.querySelector(`[data-key="${CSS.escape(name)}"]`)) choose(name);
    });
    return image;
  }

  function arrows(event) {
    const all = [...rows.querySelectorAll("button")], at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to === undefined || !all[to]) return;
    event.preventDefault();
    all[to].focus();
  }

  return { element, render, reset };
}

/** The state that is shown unless a person has chosen another: the failed, the current, or the last. */
function interesting(known) {
  const inner = (status) => known.findLast((step) => step.status === status);
  return inner("failed") ?? inner("current") ?? inner("stopped") ?? known.at(-1);
}

/** Light the states of the picture. */
function light(place, known, selected) {
  const byName = new Map(known.map((step) => [step.name, step]));
  for (const each of place.querySelectorAll("[data-state]")) {
    const step = byName.get(each.dataset.state);
    for (const status of Object.keys(MARKS)) each.classList.toggle(status, step?.status === status);
    each.classList.toggle("visited", Boolean(step));
    each.classList.toggle("selected", each.dataset.state === selected);
    each.querySelector(".mark").textContent = step ? MARKS[step.status] : "";
    each.querySelector(".times").textContent = step?.visits.length > 1 ? `×${step.visits.length}` : "";
  }
}

/** Lay the visits' bars on the run's time, which goes on while it runs. */
function stretch(rows, began, end) {
  const whole = Math.max(end - began, 1);
  for (const bar of rows.querySelectorAll("[data-began]")) {
    const from = Number(bar.dataset.began), to = Number(bar.dataset.ended ?? end);
    bar.style.left = `${(100 * (from - began)) / whole}%`;
    bar.style.width = `${Math.max(0, (100 * (to - from)) / whole)}%`;
  }
}

/** A state with its visits. */
function row(step, selected, choose) {
  const open = step.visits.find((each) => each.status === "current");
  const bar = h("span.bars", { "aria-hidden": "true" }, ...step.visits.flatMap((each) => each.stretches.map(([began, ended]) =>
    h(`span.${each.status}`, { "data-began": began, "data-ended": ended }))));
  return h("li", {}, h(`button.step.${step.status}`, { type: "button", "data-key": step.name, "aria-pressed": String(selected), onclick: () => choose(step.name) },
    h("span.mark", { "aria-hidden": "true" }, MARKS[step.status]),
    h("span.name", {}, step.name, h("span.hidden", {}, `, ${WORDS[step.status]}`)),
    h("span.times", {}, step.visits.length > 1 ? `×${step.visits.length}` : ""),
    bar,
    h("span.took", {}, open ? running(open.stretches.at(-1)[0]) : duration(1000 * step.seconds))));
}

/** One visit of a state: what went in and out, and what failed that is not `known` already. */
function details(step, at, history, known, turn) {
  const visit = step.visits[at], count = step.visits.length;
  const facts = [
    `${WORDS[visit.status]}, entered ${moment(visit.stretches[0][0])}`,
    visit.tries > 1 ? counted(visit.tries, "try").replace("trys", "tries") : "",
    visit.stretches.length > 1 ? "went on by a redrive" : "",
  ].filter(Boolean).join(" · ");
  return [
    h("div.visit", {}, h("h4", {}, step.name), h("span.note", {}, facts),
      count > 1 ? h("span.turn", {},
        h("button.small", { type: "button", "data-key": "earlier", "aria-label": "Earlier visit", disabled: !at, onclick: () => turn(at - 1) }, "‹"),
        ` ${at + 1} of ${count} `,
        h("button.small", { type: "button", "data-key": "later", "aria-label": "Later visit", disabled: at + 1 === count, onclick: () => turn(at + 1) }, "›")) : null),
    ...visit.failures.filter((each) => each.message !== known).slice(-3).map((each) => h("p.bad", {}, h("b", {}, `${moment(each.at)} ${each.error ?? "failed"}: `), each.message)),
    h("div.inout", {}, json("Input", history.input(visit.entered)), json("Output", history.output(visit.exited), visit.status)),
  ];
}

/** A JSON document, laid out. */
function json(title, text, status) {
  let laid = text;
  try { laid = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
  const none = status === "current" ? "It has not ended yet." : "It gave none.";
  return h("div.json", {}, h("h5", {}, title), text === null ? h("p.note", {}, none) : h("pre", { tabindex: 0, role: "region", "aria-label": title }, laid));
}
