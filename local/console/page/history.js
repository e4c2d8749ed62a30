/** An execution's history: read here, and told of by local/console/facts.py. */

import { fact } from "./facts.js";

const DATA = new Set(["input", "output", "parameters"]); // of events; what is told does not hang on it

/** Reads an execution's history page by page; a page that was full is not read again. */
export class History {
  constructor(arn, call) {
    Object.assign(this, { arn, call, kept: [], token: undefined, events: new Map(), timeline: null });
  }

  /** Read what is new and return the timeline. */
  async read() {
    const events = await this.all();
    if (events.length === this.events.size) return this.timeline;
    this.timeline = await fact("timeline", JSON.stringify({ events }, (name, value) => (DATA.has(name) ? undefined : value)));
    this.events = new Map(events.map((event) => [event.id, event]));
    return this.timeline;
  }

  async all() {
    for (;;) {
      const page = await this.call("GetExecutionHistory", {
        executionArn: this.arn, includeExecutionData: true, maxResults: 200, nextToken: this.token,
      });
      const events = [...this.kept, ...page.events];
      if (!page.nextToken) return events;
      this.kept = events;
      this.token = page.nextToken;
    }
  }

  /** What went into a state, by the id of its entry's event. */
  input(id) {
    return this.events.get(id)?.stateEnteredEventDetails.input ?? null;
  }

  /** What came out of it, by the id of its exit's event. */
  output(id) {
    return this.events.get(id)?.stateExitedEventDetails.output ?? null;
  }
}
