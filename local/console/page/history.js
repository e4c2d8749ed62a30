/** An execution's history as what people ask for: each state's visits, with input and output. */

const ENDS = { ExecutionFailed: "failed", ExecutionTimedOut: "failed", ExecutionAborted: "stopped" };

/** The visits in the order of their entries: `{name, type, input, output, began, ended, status, tries, failures}`.
 * Moments are in milliseconds; a status is current, done, failed or stopped. */
export function visits(events) {
  const found = [], owner = new Map();
  const open = () => found.filter((visit) => visit.status === "current");
  let closed = [];
  for (const event of events) {
    const at = event.timestamp * 1000;
    const entered = event.stateEnteredEventDetails, exited = event.stateExitedEventDetails;
    let visit = owner.get(event.previousEventId);
    if (entered) {
      visit = {
        name: entered.name, type: event.type.replace("StateEntered", ""), input: entered.input, output: null,
        began: at, ended: null, status: "current", tries: 0, failures: [], redriven: false,
      };
      found.push(visit);
    } else if (exited) {
      // A Map's exit follows its last iteration: then the name tells whose it is.
      if (visit?.name !== exited.name) visit = open().findLast((each) => each.name === exited.name) ?? visit;
      Object.assign(visit, { output: exited.output, ended: at, status: "done" });
    } else if (event.type === "TaskScheduled" || event.type === "LambdaFunctionScheduled") {
      // After a redrive a state goes on without being entered: its event follows the redrive.
      visit ??= open().at(-1);
      if (visit) visit.tries += 1;
    } else if (/^(Task|LambdaFunction)(Failed|TimedOut|StartFailed|SubmitFailed)$/.test(event.type)) {
      const details = Object.entries(event).find(([name]) => name.endsWith("EventDetails"))?.[1] ?? {};
      visit?.failures.push({ at, error: details.error, cause: details.cause });
    } else if (ENDS[event.type]) {
      closed = open();
      for (const each of closed) Object.assign(each, { ended: at, status: endOf(event.type, each, closed) });
    } else if (event.type === "ExecutionRedriven") {
      for (const each of closed) Object.assign(each, { ended: null, status: "current", redriven: true });
      visit = closed.at(-1);
      closed = [];
    }
    owner.set(event.id, visit);
  }
  return found;
}

/** How a visit ended with its execution: what did not fail itself was stopped. */
function endOf(kind, visit, closed) {
  if (ENDS[kind] === "stopped") return "stopped";
  const holdsOthers = visit.type === "Map" || visit.type === "Parallel";
  const someFailed = closed.some((each) => each.failures.length);
  return holdsOthers || visit.failures.length || !someFailed ? "failed" : "stopped";
}

/** The states that were visited, in order: `{name, status, visits}`. */
export function steps(found) {
  const byName = new Map();
  for (const visit of found) byName.set(visit.name, [...(byName.get(visit.name) ?? []), visit]);
  return [...byName].map(([name, all]) => ({ name, visits: all, status: statusOf(all) }));
}

function statusOf(all) {
  const last = all.at(-1).status;
  return ["current", "failed", "stopped"].find((status) => all.some((visit) => visit.status === status)) ?? last;
}

/** Reads an execution's history page by page; a page that was full is not read again. */
export class History {
  constructor(arn, call) {
    Object.assign(this, { arn, call, kept: [], token: undefined, events: [] });
  }

  /** Read what is new and return all events. */
  async read() {
    for (;;) {
      const page = await this.call("GetExecutionHistory", {
        executionArn: this.arn, includeExecutionData: true, maxResults: 200, nextToken: this.token,
      });
      this.events = [...this.kept, ...page.events];
      if (!page.nextToken) return this.events;
      this.kept = this.events;
      this.token = page.nextToken;
    }
  }
}
