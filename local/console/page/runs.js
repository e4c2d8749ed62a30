/** The runs: executions of the state machine, and what is done with them. */

import { AwsError, STACK, item, itemsOf, states } from "./aws.js";
import { fact } from "./facts.js";

const LISTED = 100; // newest runs that are looked at with each poll
const FIRST = 20; // and with the first, so that there is something to see at once
export const MOST_LISTED = 1000; // entries of one ListExecutions
const AT_ONCE = 8;

const signature = (listed) => `${listed.status} ${listed.redriveCount ?? 0} ${listed.stopDate ?? ""}`;

/** The runs, as they were when they were last read: the newest, and those that were asked for. */
export class Runs {
  constructor(machine, table, pipelinePage = "") {
    Object.assign(this, { machine, table, pipelinePage, known: new Map(), sketched: new Map(), entries: [], listed: [], more: false });
  }

  /** A page of the list, newest start first, with a status if one is given. */
  page(status, nextToken, maxResults = MOST_LISTED) {
    return states("ListExecutions", { stateMachineArn: this.machine, maxResults, statusFilter: status || undefined, nextToken });
  }

  /** Read the newest of the list, and each run that is new or has changed. */
  async refresh(routes) {
    const page = await this.page("", undefined, this.listed.length ? LISTED : FIRST);
    this.listed = await this.whole(page.executions, routes);
    this.listed.sort((a, b) => b.started - a.started);
    Object.assign(this, { entries: page.executions, more: Boolean(page.nextToken) });
  }

  /** The runs of entries of the list; of those that are known already only what may have changed is read. */
  async whole(entries, routes) {
    const changed = entries.filter((each) => this.known.get(each.executionArn)?.signature !== signature(each));
    await this.read(changed.map((each) => each.executionArn), routes, changed.map(signature));
    const going = entries.filter((each) => !changed.includes(each)).map((each) => this.known.get(each.executionArn)).filter(({ run }) => run.running || run.open_hold);
    const told = await this.told(going.map((each) => each.execution), routes);
    told.forEach((run, at) => { going[at].run = run; });
    return entries.map((each) => this.known.get(each.executionArn).run);
  }

  /** The runs of entries as the table tells of them: without input, error and what came back, but at once. */
  async sketch(entries, routes) {
    const at = (each) => [this.known, this.sketched].map((map) => map.get(each.executionArn)).find((found) => found?.signature === signature(each));
    const open = (found) => !found || (found.run.running && !found.run.whole);
    const asked = entries.filter((each) => open(at(each)));
    for (let from = 0; from < asked.length; from += MOST_LISTED) {
      const some = asked.slice(from, from + MOST_LISTED), runs = await this.told(some, routes);
      runs.forEach((run, n) => this.sketched.set(run.arn, { signature: signature(some[n]), run }));
    }
    return entries.map((each) => at(each).run);
  }

  /** Read runs, however many, and have them told together. Raises AwsError. */
  async read(arns, routes, signatures = []) {
    const executions = [];
    for (let at = 0; at < arns.length; at += AT_ONCE) {
      executions.push(...await Promise.all(arns.slice(at, at + AT_ONCE).map((arn) => states("DescribeExecution", { executionArn: arn }))));
    }
    const runs = await this.told(executions, routes);
    runs.forEach((run, at) => this.known.set(run.arn, { signature: signatures[at] ?? "", execution: executions[at], run }));
    return runs;
  }

  /** What executions are, with what the table has of them. */
  async told(executions, routes) {
    if (!executions.length) return [];
    const kept = await itemsOf(this.table, executions.map((each) => [`run#${each.name}`, "record"]));
    const records = Object.fromEntries(kept.map((record) => [record.pk.slice("run#".length), record]));
    return fact("runs", { executions, routes: Object.keys(routes), records, pipeline_page: this.pipelinePage });
  }

  /** The run of a name: from the list, else from AWS; null where there is none. */
  async named(name, routes) {
    const listed = this.listed.find((run) => run.name === name);
    if (listed) return listed;
    try {
      return (await this.read([`${this.machine.replace(":stateMachine:", ":execution:")}:${name}`], routes))[0];
    } catch (error) {
      if (["ExecutionDoesNotExist", "InvalidArn"].includes(error.code)) return null;
      throw error;
    }
  }
}

/** What the application itself keeps of a run. */
export const recordOf = async (table, run) => (await item(table, ...run.record)) ?? {};

// --- what is done with runs ------------------------------------------------------------------
/** Start a run that comes of another; return its name. */
async function start(run, what, record = {}) {
  const made = await fact("new_run", { what, run: run.name, given: run.input, record });
  if (!made) throw new AwsError("NoFile", "This run is of no file.");
  await states("StartExecution", { stateMachineArn: run.machine, name: made.name, input: JSON.stringify(made.input) });
  return made.name;
}

/** Process the same version of the same file in a new run; return its name. */
export const runAgain = async (run, table) => start(run, "again", await recordOf(table, run));

/** Publish what a gate holds; return the name of the run that does it. */
export const release = (run) => start(run, "release");

/** Let a run go on where it ended. */
export const redrive = (run) => states("RedriveExecution", { executionArn: run.arn, clientToken: crypto.randomUUID() });

/** Stop a run. */
export const stop = (run) => states("StopExecution", { executionArn: run.arn, cause: `Stopped in the local console of ${STACK}.` });
