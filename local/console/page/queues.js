/** The view of queues: who holds the turn, who waits, and pauses. */

import { invoke, items } from "./aws.js";
import { button, counted, h, moment, running, show } from "./dom.js";
import { fact } from "./facts.js";

/** Make the view. */
export function queuesView(app) {
  const list = h("div.cards"), said = h("p.bad.said", { role: "alert" });
  const element = h("div.page", {}, h("h1", {}, "Queues"),
    h("p.lead", {}, "The files of a pipeline take turns, the oldest drop first. The turn lasts from the upload until the execution has ended."),
    said, list);
  let queues = null;

  /** Read every queue that was used, and those that routes name. */
  async function refresh() {
    const table = app.stack.outputs.TurnsTable;
    const found = await fact("queues", { routes: app.routes, used: await items(table, "queues") });
    queues = await Promise.all(found.map(async (queue) => ({ ...queue, waiting: await items(table, queue.tickets) })));
  }

  /** Show what is known now. */
  function render() {
    show(list, queues, () => {
      if (!queues) return h("p.empty", {}, "Reading the queues …");
      if (!queues.length) return h("p.empty", {}, "There is no queue: the stack has no route yet. Add one: stp routes apply.");
      return queues.map(card);
    });
  }

  function card(queue) {
    const set = (payload) => async () => {
      await invoke("pause_queue", payload);
      await app.poke();
    };
    const say = (text) => { said.textContent = text; };
    const reason = h("input", { type: "text", placeholder: "why (may be empty)", maxlength: 200, "aria-label": `Why ${queue.name} is paused`, "data-key": `reason ${queue.name}` });
    const pause = button("Pause", "Pausing", () => set({ pause: queue.name, reason: reason.value.trim() || "by hand" })(), { key: `pause ${queue.name}`, said: say });
    const resume = button("Resume", "Resuming", set({ resume: queue.name }), { kind: ".primary", key: `resume ${queue.name}`, said: say });
    pause.setAttribute("aria-label", `Pause ${queue.name}`);
    resume.setAttribute("aria-label", `Resume ${queue.name}`);
    return h("section.card", { "aria-label": `Queue ${queue.name}` },
      h("header", {}, h("h2", {}, queue.name),
        h("span.note", {}, queue.routes.length ? `${queue.routes.length === 1 ? "route" : "routes"} ${queue.routes.join(", ")}` : "no route"),
        h("div.buttons", {}, queue.paused ? resume : [reason, pause])),
      queue.paused ? h("div.notice.held", {}, h("h3", {}, h("span.mark", { "aria-hidden": "true" }, "‖"), " Paused"),
        h("p", {}, `Since ${moment(Date.parse(queue.paused.since))}: ${queue.paused.reason}. No further file begins until it is resumed.`)) : null,
      !queue.holder && !queue.waiting.length ? h("p.note", {}, "Nobody holds the turn, and nobody waits.") : h("dl.turns", {}, h("dt", {}, "Holds the turn"), h("dd", {}, queue.holder ? link(queue.holder, queue.holder.granted_at) : h("span.note", {}, "nobody")),
        h("dt", {}, queue.waiting.length ? `${counted(queue.waiting.length, "file")} wait${queue.waiting.length === 1 ? "s" : ""}` : "Waits"),
        h("dd", {}, queue.waiting.length ? h("ol", {}, ...queue.waiting.map((ticket) => h("li", {}, link(ticket, ticket.asked_at)))) : h("span.note", {}, "nobody"))));
  }

  return { element, refresh, render };
}

/** A run, and since when it holds or waits. */
const link = (turn, since) => h("span.turn", {}, h("a", { href: `#/runs/${encodeURIComponent(turn.run)}`, "data-key": turn.run }, turn.run), " ",
  h("span.note", {}, `since ${moment(Date.parse(since))}, `, running(Date.parse(since))));
