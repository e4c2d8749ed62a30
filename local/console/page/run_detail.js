/** One run: what became of it, what to do, and its states. */

import { states } from "./aws.js";
import { button, counted, duration, h, moment, named, running, show } from "./dom.js";
import { History } from "./history.js";
import { logOf } from "./log.js";
import { outputsOf } from "./outputs.js";
import { recordOf, redrive, release, runAgain, stop } from "./runs.js";
import { stepsOf } from "./steps.js";

/** Make the place for one run. */
export function runDetail(app) {
  const head = h("div.head"), told = h("div.told"), said = h("p.bad.said", { role: "alert" });
  const steps = stepsOf(), outputs = outputsOf(app), log = logOf();
  const body = h("div.body", {}, head, said, told, steps.element, outputs.element, log.element);
  const empty = h("div.empty");
  const element = h("div", {}, empty, body);
  let now = { name: "", run: undefined, record: {}, timeline: null, history: null, definition: null, seen: "" };
  const say = (text) => { said.textContent = text; };

  /** Read the selected run; its history only while it changes. */
  async function refresh() {
    if (now.name !== app.name) start();
    if (!app.name) return;
    const mine = now;
    mine.run = await app.runs.named(app.name, app.routes);
    if (!mine.run) return;
    mine.definition ??= await definitionOf(mine.run);
    const seen = `${mine.run.status} ${mine.run.redrives} ${mine.run.stopped}`;
    if (seen !== mine.seen || mine.run.running || mine.unreleased) {
      mine.history ??= new History(mine.run.arn, states);
      if (seen !== mine.seen || mine.run.running) mine.timeline = await mine.history.read();
      mine.record = await recordOf(app.stack.outputs.TurnsTable, mine.run);
      mine.unreleased = mine.run.status === "Held" && !mine.record.released_by;
      mine.seen = seen;
    }
    await outputs.read(mine.run, mine.record.released_by?.split(":").pop() ?? "");
  }

  function start() {
    now = { name: app.name, run: undefined, record: {}, timeline: null, history: null, definition: null, seen: "" };
    say("");
    steps.reset();
    outputs.reset();
    log.reset();
  }

  /** Show what is known now. */
  function render() {
    if (now.name !== app.name) start();
    const { run, record, timeline, history } = now;
    const listed = app.runs?.listed.length;
    body.hidden = !run;
    empty.hidden = Boolean(run);
    show(empty, [app.name, run, listed], () => missing(run, listed));
    if (!run) return;
    show(head, [run, record.released_by], () => header(run, record));
    const { current: state, ended_at: endedAt, if_stopped: ifStopped } = timeline ?? {};
    const waiting = waitingFor(history?.input(timeline?.last));
    show(told, [run, record.released_by, waiting, state, endedAt, app.standIn?.base], () => news(run, record, { waiting, state, endedAt, ifStopped }, Boolean(app.standIn?.base)));
    steps.render(run, now.definition, timeline?.steps ?? [], history);
    outputs.render(run);
    log.render(run);
  }

  /** What is shown where there is no run. */
  function missing(run, listed) {
    if (!app.name) return h("p", {}, listed ? "Choose a run from the list to see its states, input, output and files." : "Drop a file on a route, and see here how it goes through its pipeline. For claims there is local/samples/claims_may.csv, for premiums local/samples/premiums_q2.csv.");
    if (run === undefined) return h("p", {}, "Reading the run …");
    return [h("p", {}, `There is no run ${app.name} in this stack. A stack that was started anew has forgotten the earlier runs.`), h("a", { href: "#/runs" }, "All runs")];
  }

  function header(run, record) {
    const open = (name) => { location.hash = `#/runs/${encodeURIComponent(name)}`; };
    const act = (label, busy, work, more = {}) => button(label, busy, async () => {
      await work();
      await app.poke();
    }, { said: say, ...more });
    const held = run.status === "Held" && !record.released_by;
    const buttons = [
      run.ended_badly && run.redrivable && act("Redrive", "Redriving", () => redrive(run), { kind: ".primary", title: "Let it go on where it ended" }),
      held && act("Release", "Releasing", async () => open(await release(run)), { kind: ".primary", title: "Publish what the gate holds" }),
      run.running && act("Stop", "Stopping", () => stop(run), { title: "Stop it; Redrive lets it go on" }),
      (run.key || run.input.route) && !run.running && act("Run again", "Starting", async () => open(await runAgain(run, app.stack.outputs.TurnsTable)), { title: run.key ? "Process the same version of the file in a new run" : "Execute the route's pipeline in a new run" }),
    ];
    const facts = [
      ["run", h("code", {}, run.name)],
      ["route", run.route ?? "none"],
      ["started", moment(run.started)],
      [run.running ? "running for" : "took", run.running ? running(run.started) : duration(run.stopped - run.started)],
      run.redrives ? ["redriven", counted(run.redrives, "time")] : null,
      run.processed_by ? ["processed by", run.processed_by] : null,
      run.rows_in ? ["rows in", run.rows_in] : null,
    ].filter(Boolean);
    return [
      h("a.back", { href: "#/runs" }, "← All runs"),
      h("div.title", {},
        h(`span.pill.${run.tone}`, {}, h("span.mark", { "aria-hidden": "true" }, run.mark), ` ${run.status}`),
        h("h2", {}, named(run.key) || (run.releases ? `Release of ${run.releases}` : run.name)),
        h("div.buttons", {}, ...buttons)),
      h("dl.facts", {}, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    ];
  }

  return { element, refresh, render };
}

/** Errors that a switch of the stand-in makes until it is put right. */
const SWITCHED = ["CredentialsRejected", "AccessDenied"];

/** What people are told of a run: why it ended badly, is held or waits, and what to do. */
function news(run, record, { waiting, state, endedAt, ifStopped }, standIn) {
  const next = h("p.next", {}, h("b", {}, "What to do: "), run.next);
  if (run.pipeline_page) next.append(" ", h("a", { href: run.pipeline_page }, "The pipeline in Quantemplate"));
  if (run.ended_badly) {
    const title = `${run.error || run.status}${endedAt ? ` at ${endedAt}` : ""}`;
    if (standIn && SWITCHED.includes(run.error)) next.append(" If a switch of the stand-in does it, put it right under ", h("a", { href: "#/switches" }, "Switches"), ".");
    return h(`div.notice.${run.tone}`, {}, h("h3", {}, title), run.message ? h("p", {}, run.message) : null, next);
  }
  if (run.status === "Held") {
    const why = run.held_because.join("; ");
    const by = record.released_by?.split(":").pop();
    return h("div.notice.held", {}, h("h3", {}, by ? "Held, and released" : "Held by its gate"), why ? h("p", {}, `${why}.`) : null,
      by ? h("p.next", {}, "It was released by ", h("a", { href: `#/runs/${encodeURIComponent(by)}` }, by), ".")
        : next);
  }
  if (!run.running) return run.next ? h(`div.notice.${run.tone}`, {}, next) : null;
  if (waiting) return h("div.notice.now", {}, h("h3", {}, `It has waited since ${moment(Date.parse(waiting.since))}, and tries again by itself`), h("p", {}, waiting.for));
  if (state === "WaitForReplacement") return h("div.notice.now", {}, h("p", {}, "The file is empty, and waits for a newer version to replace it."));
  if (state === "TakeTurn") return h("div.notice.now", {}, h("p", {}, "It waits for its turn. ", h("a", { href: "#/queues" }, "Who holds it"), ` If you stop it now, ${ifStopped}`));
  return state ? h("p.hint", {}, `If you stop it now, ${ifStopped}`) : null;
}

/** What a run waits for before it tries again: its data say so. */
function waitingFor(input) {
  try { return JSON.parse(input ?? "{}").waiting ?? null; } catch { return null; }
}

const definitions = new Map();

/** The definition of a run's state machine: each is read once. */
async function definitionOf(run) {
  if (!definitions.has(run.machine)) {
    const found = await states("DescribeStateMachine", { stateMachineArn: run.machine });
    definitions.set(run.machine, JSON.parse(found.definition));
  }
  return definitions.get(run.machine);
}
