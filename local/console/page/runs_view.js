/** The view of runs: where files are dropped, the list with its filters, and one run or all at a glance. */

import { awaited } from "./awaited.js";
import { dropZone } from "./drop.js";
import { counted, duration, h, moment, named, running, show } from "./dom.js";
import { runDetail } from "./run_detail.js";
import { NO_FILTERS, RESULTS, Search, TIMES, fits } from "./search.js";
import { severalOf } from "./several.js";
import { timeline } from "./timeline.js";

const MORE = 100; // runs that are shown more of at a time
const TYPED = 300; // milliseconds after the last key until a text is searched for

/** Make the view. */
export function runsView(app) {
  const drop = dropZone(app), detail = runDetail(app), glance = timeline(app, { only: filter }), owed = awaited(app);
  const choice = (label, options) => h("select", { "aria-label": label, onchange: search }, ...options.map(([value, text]) => h("option", { value }, text)));
  const result = choice("Only runs with this result", Object.entries(RESULTS).map(([value, each]) => [value, each.label]));
  const route = choice("Only runs of this route", []);
  const time = choice("Only runs begun since", Object.entries(TIMES).map(([value, [label]]) => [value, label]));
  const text = h("input", { type: "search", placeholder: "Part of a file's or run's name", "aria-label": "Only runs with this text", oninput: typed });
  const list = h("ol.list", { id: "runs", "aria-label": "Runs, the newest first", onkeydown: arrows });
  const note = h("p.note", { role: "status" });
  const several = severalOf(app, render);
  const more = h("button", { type: "button", hidden: true, onclick: () => app.search?.more(app.search.looked ? MORE : MORE + app.runs.listed.length) }, "Show more");
  const element = h("div.runs", {},
    h("section.side", { "aria-label": "Files and runs" }, drop.element,
      h("div.bar", {}, h("h1", {}, "Runs"), result, route, time, text),
      several.element, list, h("div.under", {}, note, more)),
    h("section.detail", { "aria-label": "Run" }, glance.element, owed.element, detail.element));
  let wait;

  /** Search for what the filters name, among all runs. */
  function search() {
    if (app.search) app.search.over = true;
    app.search = null;
    render();
  }

  function typed() {
    clearTimeout(wait);
    wait = setTimeout(search, TYPED);
  }

  /** Set filters from elsewhere. */
  function filter(wanted) {
    const all = { ...NO_FILTERS, ...wanted };
    for (const [name, field] of Object.entries({ result, route, time, text })) field.value = all[name];
    search();
    result.focus();
  }

  /** What is searched for: begun anew with other filters and another stack. */
  function searched() {
    if (!app.runs) return null;
    if (app.search?.runs !== app.runs) {
      const filters = { result: result.value, route: route.value, time: time.value, text: text.value.trim() };
      app.search = new Search(app.runs, app.routes, filters, render);
      if (Object.values(filters).some(Boolean)) app.search.more(MORE);
    }
    return app.search;
  }

  /** Show what is known now. */
  function render() {
    element.classList.toggle("one", Boolean(app.name));
    drop.render();
    show(route, Object.keys(app.routes), () => {
      const chosen = route.value;
      setTimeout(() => { route.value = chosen; });
      return [h("option", { value: "" }, "All routes"), ...Object.keys(app.routes).map((name) => h("option", { value: name }, name))];
    });
    const found = searched(), runs = found ? shown(found) : [];
    const tabbed = runs.some((run) => run.name === app.name) ? app.name : runs[0]?.name;
    show(list, [runs.map((run) => [run.name, run.status, run.tone, run.stopped, run.error, run.redrives, run.rows, app.unusual[run.name], several.chosen.has(run.name)]), app.name], () => runs.map((run) => row(run, several.box(run), app.unusual[run.name], run.name === app.name, run.name === tabbed)));
    list.hidden = !runs.length;
    several.render(runs);
    note.textContent = remark(found, runs.length);
    more.hidden = !found || found.busy || (found.done && !found.problem) || !(app.runs.more || found.looked);
    more.textContent = found?.problem ? "Try again" : "Show more";
    glance.element.hidden = Boolean(app.name) || !app.runs?.listed.length;
    if (!app.name) glance.render();
    owed.render();
    detail.render();
  }

  /** The newest runs that are like this, and those that the search has found. */
  function shown(found) {
    const all = new Map(found.found.map((run) => [run.arn, app.runs.known.get(run.arn)?.run ?? run]));
    for (const run of app.runs.listed) all.set(run.arn, run);
    return [...all.values()].filter((run) => fits(run, found.filters)).sort((a, b) => b.started - a.started);
  }

  /** What is said under the list; "none" only of what was looked for to the end. */
  function remark(found, count) {
    if (!found) return "";
    if (!app.runs.listed.length) return "No file has been dropped yet. Drop one above: its run appears here.";
    if (found.problem) return `The runs could not be read on: ${found.problem}`;
    const looked = `${counted(found.looked, "run")} looked at, ${found.found.length.toLocaleString("en")} found`;
    if (found.busy) return `Looking for more: ${looked} …`;
    if (found.done) return count ? `These are all: ${counted(count, "run")}.` : "No run is like this. Choose other filters.";
    if (found.looked) return `${looked}; there are more.`;
    return app.runs.more ? `These are the newest ${count}.` : `These are all: ${counted(count, "run")}.`;
  }

  /** Arrow keys walk through the list. */
  function arrows(event) {
    const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const link = links[Math.min(Math.max(to, 0), links.length - 1)];
    for (const each of links) each.tabIndex = each === link ? 0 : -1;
    link.focus();
  }

  /** Read what is shown beside the list. */
  async function refresh() {
    const stale = app.search?.found.filter((run) => run.running && !app.runs.listed.some((each) => each.arn === run.arn)) ?? [];
    await app.runs.read(stale.slice(0, 10).map((run) => run.arn), app.routes);
    await (app.name ? detail.refresh() : Promise.all([glance.refresh(), owed.refresh()]));
  }

  return { element, render, refresh };
}

/** Rows in and out of a run, as far as they are counted. */
export function inAndOut(run) {
  const number = (rows) => (rows === null ? "?" : rows.toLocaleString("en"));
  return run.rows === null && run.rows_made === null ? "" : `${number(run.rows)} → ${number(run.rows_made)} rows`;
}

/** One run in the list. */
function row(run, box, odd, current, tabbed) {
  const file = named(run.key) || (run.releases ? `release of ${run.releases}` : run.route ? `(no file: ${run.route})` : "(no file)");
  const rows = inAndOut(run), marks = [odd?.late, odd?.rows].filter(Boolean);
  return h("li", {}, box, h(`a.run.${run.tone}`, {
    href: `#/runs/${encodeURIComponent(run.name)}`, "data-key": run.name, tabindex: tabbed ? 0 : -1,
    "aria-current": current ? "true" : null, title: run.name,
  },
  h("span.mark", { "aria-hidden": "true" }, run.mark),
  h("span.file", {}, file),
  h("span.took", {}, run.running ? running(run.started) : duration(run.stopped - run.started)),
  h("span.status", {}, run.status, run.released ? ", released" : null, run.error ? h("span.error", {}, `: ${run.error}`) : null),
  h("span.when", {}, run.route || run.releases ? moment(run.started) : `no route · ${moment(run.started)}`),
  rows || marks.length ? h("span.rows", {}, rows, ...marks.map((each) => h("span.odd", {}, each))) : null));
}
