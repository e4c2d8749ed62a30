/** Which runs the list shows, and the search for them among all that there are. */

const HOUR = 3_600_000, BATCH = 100;

/** What a run became, and by which statuses the service finds such runs; no status means all. */
export const RESULTS = {
  "": { label: "All results", statuses: [""], fits: () => true },
  running: { label: "Running", statuses: ["RUNNING"], fits: (run) => run.running },
  well: { label: "Ended well", statuses: ["SUCCEEDED"], fits: (run) => run.tone === "good" },
  badly: { label: "Ended badly", statuses: ["FAILED", "TIMED_OUT", "ABORTED"], fits: (run) => run.ended_badly },
  held: { label: "Held", statuses: ["SUCCEEDED"], fits: (run) => run.open_hold },
};

/** How long ago a run may have begun, in milliseconds. */
export const TIMES = { "": ["At any time", Infinity], hour: ["Last hour", HOUR], day: ["Last day", 24 * HOUR], week: ["Last week", 168 * HOUR], month: ["Last 30 days", 720 * HOUR] };

export const NO_FILTERS = { result: "", route: "", text: "", time: "" };

/** Whether a run is like this; null where that is not known before it is read whole. */
export function fits(run, { result, route, text, time }) {
  if (Date.now() - run.started > TIMES[time][1] || !RESULTS[result].fits(run)) return false;
  const wanted = text.toLowerCase(), unknown = run.whole ? false : null;
  if (route && run.route !== route) return run.route ? false : unknown;
  if (!wanted || run.name.toLowerCase().includes(wanted)) return route && !run.route ? unknown : true;
  return run.key ? run.key.toLowerCase().includes(wanted) : unknown;
}

/** Reads the list on, page by page, for runs that are like this. */
export class Search {
  constructor(runs, routes, filters, tell) {
    const streams = RESULTS[filters.result].statuses.map((status) => ({ status, entries: [], token: undefined, done: false }));
    Object.assign(this, { runs, routes, filters, tell, streams, left: [], found: [], looked: 0, busy: false, done: false, over: false, problem: "" });
  }

  /** Find so many more; what is found is told as it is. */
  async more(wanted) {
    if (this.busy || this.done) return;
    Object.assign(this, { busy: true, problem: "" });
    const target = this.found.length + wanted;
    try {
      while (!this.over && !this.done && this.found.length < target) {
        await this.step(target);
        this.tell();
      }
    } catch (error) {
      this.problem = error.message;
    }
    this.busy = false;
    this.tell();
  }

  async step(target) {
    if (!this.left.length) this.left = await this.next();
    if (!this.left.length) {
      this.done = true;
      return;
    }
    const sketches = await this.runs.sketch(this.left, this.routes);
    const room = target - this.found.length;
    const likely = this.left.filter((_, at) => fits(sketches[at], this.filters) !== false).slice(0, room);
    const whole = await this.runs.whole(likely, this.routes);
    this.found.push(...whole.filter((run) => fits(run, this.filters)));
    // What was not read whole for want of room is looked at again when more are wanted.
    const looked = likely.length === room ? this.left.indexOf(likely.at(-1)) + 1 : this.left.length;
    this.left = this.left.slice(looked);
    this.looked += looked;
  }

  /** The next entries of all statuses together, newest start first. */
  async next() {
    const batch = [], since = Date.now() - TIMES[this.filters.time][1];
    while (batch.length < BATCH) {
      for (const stream of this.streams.filter((each) => !each.entries.length && !each.done)) {
        const page = await this.runs.page(stream.status, stream.token);
        stream.entries = page.executions.sort((a, b) => b.startDate - a.startDate);
        stream.token = page.nextToken;
        stream.done = !page.nextToken;
      }
      const stream = this.streams.filter((each) => each.entries.length).sort((a, b) => b.entries[0].startDate - a.entries[0].startDate)[0];
      if (!stream) break;
      const entry = stream.entries.shift();
      if (entry.startDate * 1000 >= since) batch.push(entry);
      else Object.assign(stream, { entries: [], done: true });
    }
    return batch;
  }
}
