/** Many runs at a glance: a row for each queue, a bar for each run of the last hour, day or week. */

import { counted, duration, h, moment, named, show } from "./dom.js";
import { fact } from "./facts.js";

const HOUR = 3_600_000;
const WINDOWS = { hour: HOUR, day: 24 * HOUR, week: 168 * HOUR };
const MOST = 5000; // newest runs that are drawn
const AGAIN = 30; // polls after which the whole window is listed anew
const READ = 16; // runs of each poll of which what came back is read
const JUDGED = 5; // polls after which it is asked what stands out, even if no run has changed
const CELLS = 500, LEAST = 3; // cells of a row's width, and those of the shortest bar
const LANES = 12; // bars above each other at most
const TICKS = 6;
const WORDS = { waited: "waited", uploaded: "uploaded", ran: "in Quantemplate", published: "published" };

/** Make the timeline; `only` narrows the list down to what is chosen here. */
export function timeline(app, { only }) {
  const windows = h("div.windows", { role: "group", "aria-label": "How far back" });
  const legend = h("p.legend", { "aria-hidden": "true" }, ...Object.entries(WORDS).map(([what, said]) => h("span", {}, h(`i.${what}`), said)),
    h("span", {}, h("i.bad"), "✗ failed"), h("span", {}, h("i.held"), "‖ held"), h("span", {}, h("i.late"), "late"));
  const rows = h("div.queuerows"), note = h("p.note");
  const element = h("div.glance", {}, h("div.glancehead", {}, h("h2", {}, "At a glance"), windows), legend, rows, note);
  let chosen = "", entries = new Map(), runs = [], source = null, polls = 0, judged = "", cut = false;

  // --- reading -----------------------------------------------------------------------------------
  /** Read the runs of the window: a list at first and now and then, else what is new of it. */
  async function refresh() {
    if (source !== app.runs) [source, entries, polls, judged] = [app.runs, new Map(), 0, ""];
    if (polls++ % AGAIN === 0) await listed();
    for (const each of app.runs.entries) entries.set(each.executionArn, each);
    const all = [...entries.values()].sort((a, b) => b.startDate - a.startDate);
    runs = await app.runs.sketch(all, app.routes);
    const unread = all.filter((_, at) => !runs[at].whole).slice(0, READ);
    if (unread.length) await app.runs.whole(unread, app.routes);
    await judge();
  }

  async function listed() {
    const since = (Date.now() - WINDOWS.week) / 1000;
    let token;
    entries = new Map();
    do {
      const page = await app.runs.page("", token);
      for (const each of page.executions) if (each.startDate >= since) entries.set(each.executionArn, each);
      token = page.executions.at(-1)?.startDate >= since && entries.size < MOST ? page.nextToken : undefined;
      cut = Boolean(token) || entries.size >= MOST;
    } while (token);
  }

  /** Ask what stands out. */
  async function judge() {
    const seen = JSON.stringify(runs.map((run) => [run.name, run.status, run.rows]));
    if (seen === judged && polls % JUDGED) return;
    judged = seen;
    app.unusual = await fact("unusual", { runs: runs.map((run) => ({
      name: run.name, route: run.route, seconds: ((run.stopped ?? Date.now()) - run.started) / 1000, rows: run.rows, running: run.running, ended_well: run.ended_well,
    })) });
  }

  // --- showing -----------------------------------------------------------------------------------
  /** The window that is shown: the hour until there is more than that, unless a person has chosen. */
  const shownWindow = () => chosen || (runs.some((run) => Date.now() - run.started > HOUR) ? "day" : "hour");

  /** Show what is known now. */
  function render() {
    const name = shownWindow(), length = WINDOWS[name], now = Date.now(), from = now - length;
    show(windows, name, () => Object.keys(WINDOWS).map((each) => h("button.small", { type: "button", "data-key": `window ${each}`, "aria-pressed": String(each === name), onclick: () => {
      chosen = each;
      render();
    } }, `Last ${each}`)));
    const seen = runs.filter((run) => (run.stopped ?? now) >= from);
    const step = length / CELLS; // the picture moves on by cells
    show(rows, [name, Math.floor(now / step), seen.map((run) => [run.name, run.status, run.tone, run.stretches, run.rows, app.unusual[run.name]])], () => drawn(seen, from, now, name));
    note.textContent = !runs.length ? "Reading the runs …" : !seen.length ? `No run went on in the last ${name}.` : cut ? `Of more than ${MOST.toLocaleString("en")} runs, the newest are drawn.` : "A click on a bar opens its run; the list of runs has the same for keys and screen readers.";
  }

  function drawn(seen, from, now, name) {
    const queues = new Map();
    for (const run of seen) {
      const queue = run.queue ?? (run.releases ? "releases" : "without a queue");
      if (!queues.has(queue)) queues.set(queue, []);
      queues.get(queue).push(run);
    }
    return [...[...queues].sort(([a], [b]) => (a < b ? -1 : 1)).map(([queue, own]) => h("section.queuerow", { "aria-label": `At a glance: ${queue}` }, label(queue, own), track(own, from, now))), axis(from, now, name)];
  }

  /** A queue's name, and how many of its runs stand out. */
  function label(queue, own) {
    const routes = [...new Set(own.map((run) => run.route).filter(Boolean))];
    const route = routes.length === 1 ? routes[0] : "";
    const count = (what, number, result) => number ? h(`button.small.count.${what}`, { type: "button", "data-key": `${queue} ${what}`, "aria-label": `${queue}: ${number} ${what}, list them`, onclick: () => only({ result, route }) }, `${number.toLocaleString("en")} ${what}`) : null;
    const of = (fit) => own.filter(fit).length;
    return h("div.queuename", {}, h("b", { title: routes.join(", ") || null }, queue), h("span.note", {}, counted(own.length, "run")),
      h("span.counts", {}, count("running", of((run) => run.running), "running"), count("late", of((run) => app.unusual[run.name]?.late), "running"), count("held", of((run) => run.open_hold), "held"), count("failed", of((run) => run.ended_badly), "badly")));
  }

  /** The bars of a queue; the list tells the same. */
  function track(own, from, now) {
    const length = now - from, cell = (at) => ((at - from) / length) * CELLS;
    const lanes = [], place = h("div.track", { "aria-hidden": "true", onclick: (event) => {
      const name = event.target.closest("[data-run]")?.dataset.run;
      if (name) location.hash = `#/runs/${encodeURIComponent(name)}`;
    } });
    // What stands out is laid first, so that it has a place of its own.
    const rank = (run) => (run.ended_badly || run.open_hold || app.unusual[run.name] ? 0 : 1);
    for (const run of [...own].sort((a, b) => rank(a) - rank(b) || a.started - b.started)) {
      const parts = run.stretches.map(([what, began, ended]) => [what, Math.max(cell(began), 0), Math.min(cell(ended ?? now), CELLS)]).filter(([, , end]) => end > 0);
      if (!parts.length) continue;
      const left = Math.min(parts[0][1], CELLS - LEAST), right = Math.max(parts.at(-1)[2], left + LEAST);
      const lane = laneFor(lanes, Math.floor(left), Math.ceil(right));
      place.append(bar(run, parts, left, right, lane));
    }
    place.style.height = `${Math.max(lanes.length, 1) * 11 + 3}px`;
    return place;
  }

  function bar(run, parts, left, right, lane) {
    const odd = app.unusual[run.name] ?? {};
    const kind = [run.tone, odd.late ? "late" : "", odd.rows ? "few" : ""].filter(Boolean).join(".");
    const spans = run.stretches.map(([what, began, ended]) => `${what === "uploaded" ? run.uploaded_as : WORDS[what]} ${duration((ended ?? Date.now()) - began)}`).join(", ");
    const made = h(`span.bar-of.${kind}`, { "data-run": run.name, title: [`${named(run.key) || run.name}: ${run.status}${run.error ? ` (${run.error})` : ""}`, `${moment(run.started)}: ${spans}`, run.rows_in ? `${run.rows_in} rows in` : "", odd.late, odd.rows].filter(Boolean).join("\n") },
      ...parts.map(([what, began, ended]) => {
        const part = h(`i.${what}`);
        part.style.left = `${(100 * (began - left)) / (right - left)}%`;
        part.style.width = `${(100 * (ended - began)) / (right - left)}%`;
        return part;
      }));
    Object.assign(made.style, { left: `${(100 * left) / CELLS}%`, width: `${(100 * (right - left)) / CELLS}%`, top: `${lane * 11 + 2}px` });
    return made;
  }

  function axis(from, now, name) {
    return h("div.axis", { "aria-hidden": "true" }, ...Array.from({ length: TICKS }, (_, at) => {
      const time = new Date(from + ((now - from) * at) / (TICKS - 1));
      const day = time.toLocaleDateString("en", { weekday: "short", day: "numeric" }), hour = moment(time.getTime()).slice(-8, -3);
      return h("span", {}, at === TICKS - 1 ? "now" : name === "week" ? day : hour);
    }));
  }

  return { element, refresh, render };
}

/** The first lane that is free there, else the last one; it is taken then. */
function laneFor(lanes, from, to) {
  const taken = (lane) => lane.subarray(from, to + 1).some(Boolean);
  let at = lanes.findIndex((lane) => !taken(lane));
  if (at < 0) at = lanes.length < LANES ? lanes.push(new Uint8Array(CELLS + 2)) - 1 : LANES - 1;
  lanes[at].fill(1, from, to + 1);
  return at;
}
