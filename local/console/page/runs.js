/** The runs: executions of the state machine, and what is done with them. */

import { AwsError, STACK, item, states } from "./aws.js";
import { fact } from "./facts.js";

const LISTED = 100; // newest runs that are shown
const AT_ONCE = 5;

const signature = (listed) => `${listed.status} ${listed.redriveCount ?? 0} ${listed.stopDate ?? ""}`;

/** The newest runs, as they were when they were last read. */
export class Runs {
  constructor(machine) {
    Object.assign(this, { machine, known: new Map(), listed: [], more: false });
  }

  /** Read the list, and each run that is new or has changed. */
  async refresh(routes) {
    const page = await states("ListExecutions", { stateMachineArn: this.machine, maxResults: LISTED });
    const changed = page.executions.filter((each) => this.known.get(each.executionArn)?.signature !== signature(each));
    await this.read(changed.map((each) => each.executionArn), routes, changed.map(signature));
    this.listed = page.executions.map((each) => this.known.get(each.executionArn).run).sort((a, b) => b.started - a.started);
    this.more = Boolean(page.nextToken);
  }

  /** Read runs, however many, and have them told together. Raises AwsError. */
  async read(arns, routes, signatures = []) {
    const executions = [];
    for (let at = 0; at < arns.length; at += AT_ONCE) {
      executions.push(...await Promise.all(arns.slice(at, at + AT_ONCE).map((arn) => states("DescribeExecution", { executionArn: arn }))));
    }
    const runs = executions.length ? await fact("runs", { executions, routes: Object.keys(routes) }) : [];
    runs.forEach((run, at) => this.known.set(run.arn, { signature: signatures[at] ?? "", run }));
    return runs;
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
