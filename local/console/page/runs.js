/** The runs: executions of the state machine, and what is done with them. */

import { AwsError, STACK, item, states } from "./aws.js";

const LISTED = 100; // newest runs that are shown
const AT_ONCE = 5;
const LONGEST_NAME = 80; // of an execution: StartExecution's documentation
const ENDS = { SUCCEEDED: "Succeeded", FAILED: "Failed", TIMED_OUT: "Timed out", ABORTED: "Stopped", RUNNING: "Running", PENDING_REDRIVE: "Running" };

export const MARKS = { Succeeded: "✓", Skipped: "✓", Replaced: "✓", Running: "●", Held: "‖", Failed: "✗", "Timed out": "✗", Stopped: "■" };
/** The class that colours a status. */
export const toneOf = (status) => ({ Succeeded: "good", Skipped: "good", Replaced: "good", Running: "now", Held: "held", Stopped: "still" })[status] ?? "bad";
export const endedBadly = (run) => ["Failed", "Timed out", "Stopped"].includes(run.status);

/** The route of the deepest folder of a key that has one. */
export function routeOf(key, routes) {
  const folders = key.split("/").slice(0, -1);
  for (let depth = folders.length; depth; depth -= 1) {
    const name = folders.slice(0, depth).join("/");
    if (name in routes) return name;
  }
  return null;
}

const parsed = (text) => {
  try {
    const value = JSON.parse(text ?? "{}");
    return value && typeof value === "object" ? value : {};
  } catch { return {}; }
};

/** The message of a cause: Lambda's is a JSON document around it. */
export const messageOf = (cause) => parsed(cause).errorMessage ?? cause ?? "";

/** One run, of DescribeExecution's answer. */
function runOf(found, routes) {
  const input = parsed(found.input), output = parsed(found.output);
  const key = typeof input.key === "string" ? input.key : "";
  return {
    name: found.name, arn: found.executionArn, machine: found.stateMachineArn, input, output, key,
    status: found.status === "SUCCEEDED" ? output.status ?? "Succeeded" : ENDS[found.status] ?? found.status,
    releases: typeof input.release === "string" ? input.release : "",
    route: output.route ?? routeOf(key, routes),
    started: found.startDate * 1000, stopped: found.stopDate ? found.stopDate * 1000 : null,
    running: ENDS[found.status] === "Running", redrives: found.redriveCount ?? 0,
    redrivable: found.redriveStatus === "REDRIVABLE", error: found.error ?? "", message: messageOf(found.cause),
  };
}

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
    while (changed.length) await Promise.all(changed.splice(0, AT_ONCE).map((each) => this.read(each.executionArn, routes, signature(each))));
    this.listed = page.executions.map((each) => this.known.get(each.executionArn).run).sort((a, b) => b.started - a.started);
    this.more = Boolean(page.nextToken);
  }

  /** Read one run. Raises AwsError. */
  async read(arn, routes, as = "") {
    const run = runOf(await states("DescribeExecution", { executionArn: arn }), routes);
    this.known.set(arn, { signature: as, run });
    return run;
  }

  /** The run of a name: from the list, else from AWS; null where there is none. */
  async named(name, routes) {
    const listed = this.listed.find((run) => run.name === name);
    if (listed) return listed;
    try {
      return await this.read(`${this.machine.replace(":stateMachine:", ":execution:")}:${name}`, routes);
    } catch (error) {
      if (["ExecutionDoesNotExist", "InvalidArn"].includes(error.code)) return null;
      throw error;
    }
  }
}

/** What the application itself keeps of a run. */
export const recordOf = async (table, name) => (await item(table, `run#${name}`, "record")) ?? {};

// --- what is done with runs ------------------------------------------------------------------
/** A new run's name that tells which one it comes from. */
function newName(run, what) {
  const mark = `-${what}-${crypto.randomUUID().replaceAll("-", "").slice(0, 8)}`;
  return run.slice(0, LONGEST_NAME - mark.length).replace(/-+$/, "") + mark;
}

async function start(run, what, input) {
  const name = newName(run.name, what);
  await states("StartExecution", { stateMachineArn: run.machine, name, input: JSON.stringify(input) });
  return name;
}

/** Process the same version of the same file in a new run; return its name. */
export async function runAgain(run, table) {
  const source = (await recordOf(table, run.name)).source ?? run.input;
  if (!source.bucket || !source.key) throw new AwsError("NoFile", "This run is of no file.");
  const version = source.version_id ? { version_id: source.version_id } : {};
  return start(run, "again", { bucket: source.bucket, key: source.key, ...version });
}

/** Publish what a gate holds; return the name of the run that does it. */
export const release = (run) => start(run, "release", { release: run.name });

/** Let a run go on where it ended. */
export const redrive = (run) => states("RedriveExecution", { executionArn: run.arn, clientToken: crypto.randomUUID() });

/** Stop a run. */
export const stop = (run) => states("StopExecution", { executionArn: run.arn, cause: `Stopped in the local console of ${STACK}.` });
