/** The view of runs: where files are dropped, the list, and one run. */

import { dropZone } from "./drop.js";
import { h, duration, moment, named, running, show } from "./dom.js";
import { runDetail } from "./run_detail.js";

/** Make the view. */
export function runsView(app) {
  const drop = dropZone(app), detail = runDetail(app);
  const routeFilter = h("select", { "aria-label": "Only runs of this route", onchange: render });
  const failedFilter = h("input", { type: "checkbox", onchange: render });
  const list = h("ol.list", { id: "runs", "aria-label": "Runs, the newest first", onkeydown: arrows });
  const note = h("p.note");
  const element = h("div.runs", {},
    h("section.side", { "aria-label": "Files and runs" }, drop.element,
      h("div.bar", {},
        h("h1", {}, "Runs"),
        routeFilter,
        h("label.check", {}, failedFilter, " Failed")),
      list, note),
    h("section.detail", { "aria-label": "Run" }, detail.element));

  /** Show what is known now. */
  function render() {
    element.classList.toggle("one", Boolean(app.name));
    drop.render();
    show(routeFilter, Object.keys(app.routes), () => [
      h("option", { value: "" }, "All routes"),
      ...Object.keys(app.routes).map((name) => h("option", { value: name }, name)),
    ]);
    const runs = (app.runs?.listed ?? []).filter((run) => (!failedFilter.checked || run.ended_badly) && (!routeFilter.value || run.route === routeFilter.value));
    const tabbed = runs.some((run) => run.name === app.name) ? app.name : runs[0]?.name;
    show(list, [runs.map((run) => [run.name, run.status, run.stopped, run.error, run.redrives]), app.name], () => runs.map((run) => row(run, run.name === app.name, run.name === tabbed)));
    list.hidden = !runs.length;
    show(note, [Boolean(app.runs), runs.length, app.runs?.listed.length, app.runs?.more], () => remark(runs.length));
    detail.render();
  }

  /** What is said under the list. */
  function remark(count) {
    if (!app.runs) return "";
    if (!app.runs.listed.length) return "No file has been dropped yet. Drop one above: its run appears here.";
    if (!count) return "No run is like this. Choose other filters.";
    return app.runs.more ? "These are the newest 100. stp runs lists all." : "";
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

  return { element, render, refresh: () => detail.refresh() };
}

/** One run in the list. */
function row(run, current, tabbed) {
  const file = named(run.key) || (run.releases ? `release of ${run.releases}` : "(no file)");
  return h("li", {}, h(`a.run.${run.tone}`, {
    href: `#/runs/${encodeURIComponent(run.name)}`, "data-key": run.name, tabindex: tabbed ? 0 : -1,
    "aria-current": current ? "true" : null, title: run.name,
  },
  h("span.mark", { "aria-hidden": "true" }, run.mark),
  h("span.file", {}, file),
  h("span.took", {}, run.running ? running(run.started) : duration(run.stopped - run.started)),
  h("span.status", {}, run.status, run.error ? h("span.error", {}, `: ${run.error}`) : null),
  h("span.when", {}, run.route || run.releases ? moment(run.started) : `no route · ${moment(run.started)}`)));
}
