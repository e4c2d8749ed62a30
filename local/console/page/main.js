/** The console: which view is shown, and the poll that keeps it current. */

import { Unreachable, readRoutes, readStack } from "./aws.js";
import { compareView } from "./compare.js";
import { h, show, tick } from "./dom.js";
import { listen } from "./keys.js";
import { queuesView } from "./queues.js";
import { Runs } from "./runs.js";
import { runsView } from "./runs_view.js";
import { StandIn } from "./standin.js";
import { switchesView } from "./switches.js";

const EVERY = 1000; // milliseconds between two polls
const ROUTES_EVERY = 5; // polls: routes change seldom
const NEWS_FOR = 8000; // milliseconds

const main = document.querySelector("#main"), banner = document.querySelector("#banner");
const live = document.querySelector("#live"), news = document.querySelector("#news");

/** What all views know; `poke` polls at once, `say` tells the news. */
const app = { stack: null, routes: {}, runs: null, standIn: null, view: "", name: "", search: null, unusual: {}, poke, say, readRoutesNow };
const views = { runs: runsView(app), queues: queuesView(app), switches: switchesView(app), compare: compareView(app) };
const TITLES = { runs: "Runs", queues: "Queues", switches: "Switches", compare: "Side by side" };

// --- where we are --------------------------------------------------------------------------------
function go() {
  const [view, ...name] = location.hash.replace(/^#\/?/, "").split("/");
  if (!views[view]) {
    location.replace("#/runs");
    return;
  }
  app.name = name.map(decodeURIComponent).join("/");
  if (view !== app.view) {
    app.view = view;
    main.replaceChildren(views[view].element);
    window.scrollTo(0, 0);
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${app.name || TITLES[view]} · Straight-Through local console`;
  views[view].render();
  poke();
}

// --- what AWS says -------------------------------------------------------------------------------
let polling = false, again = false, timer, polls = 0;

/** Poll now; never two at a time. */
async function poke() {
  if (polling) {
    again = true;
    return;
  }
  polling = true;
  clearTimeout(timer);
  do {
    again = false;
    await poll();
  } while (again);
  polling = false;
  timer = setTimeout(() => (document.hidden ? null : poke()), EVERY);
}

async function poll() {
  try {
    if (!app.stack) await readStackNow();
    if (!app.stack) return;
    if (polls++ % ROUTES_EVERY === 0) await readRoutesNow();
    const before = new Map(app.runs.listed.map((run) => [run.arn, run]));
    await app.runs.refresh(app.routes);
    if (before.size) tell(before, app.runs.listed);
    views[app.view].render(); // what is listed is seen before the rest is read
    await views[app.view].refresh();
    views[app.view].render();
    trouble("");
    live.textContent = `live · ${location.host}`;
    live.className = "live well";
  } catch (error) {
    live.textContent = "not live";
    live.className = "live";
    if (!(error instanceof Unreachable)) {
      console.warn(error);
      trouble(`AWS refused what this page asked for: ${error.message} It asks again every second.`);
      return;
    }
    app.stack = null; // another one may serve here next
    trouble(`The local AWS at ${location.origin} does not answer. Start it again in its folder with make up: this page goes on by itself. What you see below is as it was.`);
  }
}

async function readStackNow() {
  app.stack = await readStack();
  if (!app.stack) {
    trouble("The stack is being deployed. This page goes on by itself when it is there.");
    return;
  }
  const { outputs, parameters } = app.stack;
  app.runs = new Runs(outputs.StateMachineArn, outputs.TurnsTable, parameters.PipelinePageUrl);
  app.standIn = new StandIn(parameters.QuantemplateApiUrl, outputs.CredentialsSecretArn);
  Object.assign(app, { search: null, unusual: {} });
  polls = 0;
}

async function readRoutesNow() {
  app.routes = await readRoutes(app.stack.outputs.RoutesPath);
}

function trouble(text) {
  show(banner, text, () => [text && h("span.mark", { "aria-hidden": "true" }, "!"), text && h("span", {}, text)]);
  banner.hidden = !text;
}

// --- news ----------------------------------------------------------------------------------------
let forgetting;

/** Tell something in passing, to eyes and screen readers. */
function say(text) {
  news.textContent = text;
  clearTimeout(forgetting);
  forgetting = setTimeout(() => { news.textContent = ""; }, NEWS_FOR);
}

function tell(before, runs) {
  const oldest = Math.min(...[...before.values()].map((run) => run.started));
  const changed = runs.filter((run) => run.started >= oldest).filter((run) => before.get(run.arn)?.status !== run.status);
  if (!changed.length) return;
  const lines = changed.slice(0, 2).map((run) => {
    const what = run.running && before.has(run.arn) ? "goes on" : run.running ? "has begun" : run.status;
    return `${run.key || run.name}: ${what}${run.ended_badly && run.error ? ` (${run.error})` : ""}`;
  });
  say(lines.join("; ") + (changed.length > 2 ? `; and ${changed.length - 2} more` : ""));
}

listen();
window.addEventListener("hashchange", go);
document.addEventListener("visibilitychange", () => (document.hidden ? null : poke()));
setInterval(tick, 250);
go();
