/** What should come: files that are late, sets that wait for others, and what is due next. */

import { items } from "./aws.js";
import { h, moment, named, running, show } from "./dom.js";
import { fact } from "./facts.js";

const AGAIN = 15; // polls after which it is read anew, even if no run has changed
const MOST = 8; // lines that are shown at once

/** Make the place; it is there where a route expects a file or gathers a set, and asks nothing elsewhere. */
export function awaited(app) {
  const list = h("ul.awaitedlist"), more = h("button.small", { type: "button", onclick: () => {
    every = true;
    render();
  } });
  const element = h("section.awaited", { "aria-label": "What should come" }, h("h2", {}, "What should come"), list, more);
  let lines = [], source = null, seen = "", polls = 0, every = false;

  /** Read what routes expect and which sets wait, where a run has changed or it is time to. */
  async function refresh() {
    if (source !== app.runs) [source, seen, lines] = [app.runs, "", []];
    const asked = ["expect", "set"].filter((field) => Object.values(app.routes).some((route) => route?.[field]));
    const now = JSON.stringify([asked, app.runs.listed.map((run) => [run.name, run.status])]);
    if (now === seen && ++polls % AGAIN) return;
    const [due, sets] = await Promise.all([asked.includes("expect") ? expected() : [], asked.includes("set") ? waiting() : []]);
    lines = [
      ...due.flatMap((route) => route.owed.map((each) => late(route, each))),
      ...due.filter((route) => route.wrong).map(untold),
      ...sets.map(waits),
      ...due.filter((route) => route.next && !route.came).sort((a, b) => a.due - b.due).map(next),
      ...due.filter((route) => route.came).map(come),
    ];
    [seen, polls] = [now, 0]; // what could not be read is asked for again
  }

  async function expected() {
    const used = await items(app.stack.outputs.TurnsTable, "expects"), known = await fact("expected", { used, arrivals: {} });
    const read = known.filter((each) => each.next).map(async ({ came_in: at }) => [at, await items(app.stack.outputs.TurnsTable, at)]);
    return fact("expected", { used, arrivals: Object.fromEntries(await Promise.all(read)) });
  }

  async function waiting() {
    return fact("sets", { used: await items(app.stack.outputs.TurnsTable, "sets") });
  }

  /** Show what is known now. */
  function render() {
    element.hidden = Boolean(app.name) || !lines.length;
    const seenOf = every ? lines : lines.slice(0, MOST);
    show(list, seenOf, () => seenOf.map(line));
    more.hidden = seenOf.length === lines.length;
    more.textContent = `Show all ${lines.length.toLocaleString("en")}`;
  }

  return { element, refresh, render };
}

// --- the lines: how each is marked, what it is about and what is said of it -----------------------
const late = ({ route }, { file, due, counting }) => ({ tone: "bad", mark: "✗", file, route, said: counting ? "its rows are not counted yet" : "late", due, over: true });
const untold = ({ route, wrong }) => ({ tone: "bad", mark: "✗", file: route, said: `nobody can tell what is due: ${wrong}` });
const waits = ({ route, period, waits_for: missing, since, files }) => ({ tone: "still", mark: "○", file: `set ${period}`, route, said: `has waited for ${missing.join(", ")} since ${moment(since)}`, came: Object.values(files) });
const next = ({ route, next: file, due }) => ({ tone: "still", mark: "○", file, route, due });
const come = ({ route, next: file, due, came }) => ({ tone: "good", mark: "✓", file, route, said: "has come", due, came: [{ key: came.file, run: came.run }] });

/** One line. */
function line({ tone, mark, file, route, said, due, over, came = [] }) {
  const parts = [
    said && [said],
    due && [`due ${moment(due)}`, ...(over ? [", ", running(due), " ago"] : [])],
    route && [`route ${route}`],
    came.length && ["here: ", ...came.flatMap(({ key, run }, at) => [at ? ", " : "", h("a", { href: `#/runs/${encodeURIComponent(run)}`, "data-key": run }, named(key))])],
  ].filter(Boolean);
  return h(`li.${tone}`, {}, h("span.mark", { "aria-hidden": "true" }, mark), h("b", {}, named(file)), h("span.note", {}, ...parts.flatMap((part, at) => [at ? " · " : "", ...part])));
}
