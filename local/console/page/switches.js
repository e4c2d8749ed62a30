/** The view of switches: what the stand-in does wrong next, in plain words. */

import { ssm } from "./aws.js";
import { button, h, moment, show } from "./dom.js";

const CALLS = { token: "a token", upload_dataset: "uploads", download_dataset: "reads of a dataset", execute_pipeline: "executions", list_executions: "looks at the executions", download_output: "downloads" };
const REQUESTS = ["upload_dataset", "execute_pipeline", "list_executions", "download_output"];
const run = (plan) => [{ operation: "execute_pipeline", kind: "run", run: plan }];
const replies = (times, more) => REQUESTS.map((operation) => ({ operation, kind: "reply", times, ...more }));

/** `text` with {n} for its number; `orders(n)` are sent together. */
const SWITCHES = [
  { group: "The next run", text: "fails", orders: () => run({ end_status: "Failed" }) },
  { group: "The next run", text: "is cancelled by somebody", orders: () => run({ end_status: "Cancelled" }) },
  { group: "The next run", text: "ends with a status that nobody knows", orders: () => run({ end_status: "Aborted" }) },
  { group: "The next run", text: "takes {n} seconds", n: 30, orders: (n) => run({ seconds: n }) },
  { group: "The next run", text: "never ends", orders: () => run({ never_ends: true }) },
  { group: "The next outputs", text: "{n} downloads break off half-way", n: 1, note: "up to 3 are fetched again, the 4th fails the run", orders: (n) => [{ operation: "download_output", kind: "short", missing: 100, times: n }] },
  { group: "The API", text: "answers 503 to the next {n} requests of each kind", n: 2, orders: (n) => replies(n, { status: 503 }) },
  { group: "The API", text: "answers 429 to the next {n} requests of each kind", n: 2, orders: (n) => replies(n, { status: 429, retry_after: 2 }) },
  { group: "The API", text: "shows a maintenance page to the next {n} requests of each kind", n: 2, note: "with HTTP 200, as some servers do", orders: (n) => replies(n, { answer: "maintenance" }) },
  { group: "The API", text: "loses its reply to the next execution", orders: () => [{ operation: "execute_pipeline", kind: "drop", when: "after" }] },
  { group: "The API", text: "stands behind a firewall that refuses the next upload", orders: () => [{ operation: "upload_dataset", kind: "reply", answer: "firewall" }] },
  { group: "The API", text: "takes {n} seconds to answer the next upload", n: 10, orders: (n) => [{ operation: "upload_dataset", kind: "delay", seconds: n }] },
];

/** What may become of events: a setting, its value while the switch is on, and its usual one. */
const EVENTS = [
  { text: "Events come twice", of: "twice", on: 1, off: 0 },
  { text: "Every other event is lost", of: "lost", on: 0.5, off: 0 },
  { text: "All events are lost", of: "lost", on: 1, off: 0 },
  { text: "Events come a minute late", of: "late", on: 60, off: 0 },
  { text: "Events come out of order", note: "Each waits up to 20 s.", of: "scattered", on: 20, off: 0 },
  { text: "Events of others' executions come between", of: "strangers", on: 1, off: 0 },
  { text: "Events come in the short envelope", note: "id and name in place of eventId and eventName.", of: "envelope", on: "short", off: "long" },
];
const NEWEST = 5; // deliveries that are listed

/** How a delivery went, in words. */
function delivery({ at, name, payload, became, status, error }) {
  const about = Object.values(payload).filter((each) => typeof each === "string").join(" ");
  const how = became === "lost" ? "lost on its way" : became === "taken" ? "taken" : `failed: ${error ?? `answered ${status}`}`;
  return h(became === "failed" ? "li.bad" : "li", {}, `${moment(Date.parse(at))} ${name} ${about}: ${how}`);
}

const ENDS = { Failed: "fails", Cancelled: "is cancelled" };

/** What an order that waits will do, in words. */
export function described(order) {
  const times = order.times === null ? "until it is cleared" : order.times === 1 ? "once" : `${order.times} times`;
  if (order.kind === "run") {
    const { end_status: status, seconds, never_ends: never } = order.run ?? {};
    return `The next run ${never ? "never ends" : seconds ? `takes ${seconds} s` : ENDS[status] ?? `ends as ${status}`}`;
  }
  const what = { reply: `are answered ${order.answer ?? order.status}`, drop: "lose their reply", short: "break off", delay: `take ${order.seconds} s longer` }[order.kind] ?? `meet ${order.kind}`;
  return `${CALLS[order.operation]} ${what}, ${times}`;
}

/** Make the view. */
export function switchesView(app) {
  const list = h("div.cards"), said = h("p.bad.said", { role: "alert" }), waiting = h("section.card", { "aria-label": "What is waiting" });
  const element = h("div.page.switches", {}, h("h1", {}, "Switches"),
    h("p.lead", {}, "The stand-in for Quantemplate misbehaves when it is told to, to see what a failure looks like. Set one, then drop a file."),
    said, waiting, list);
  const say = (text) => { said.textContent = text; };
  const act = (label, busy, work, key, more = {}) => {
    const made = button(label, busy, async () => {
      await work();
      await app.readRoutesNow();
      await app.poke();
    }, { key, said: say, ...more });
    made.setAttribute("aria-label", key);
    return made;
  };

  /** Show what is known now. */
  function render() {
    const standIn = app.standIn, state = standIn?.state;
    const shared = state && Object.entries(state.datasets).map(([id, dataset]) => [id, dataset.shared, dataset.shared_with_all]);
    const pipelines = state && Object.entries(state.pipelines).map(([id, pipeline]) => [id, pipeline.shared_with_all]);
    show(waiting, [standIn?.problem, state?.troubles, state?.rejects, shared, pipelines, state?.events], () => orders(standIn, state));
    const outputs = state && Object.entries(state.pipelines).map(([id, pipeline]) => [id, pipeline.outputs]);
    show(list, [standIn?.problem, app.routes, Boolean(state), state?.rejects, shared, outputs, pipelines, state?.events], () => (state && !standIn.problem ? cards(standIn, state) : []));
  }

  function orders(standIn, state) {
    if (standIn?.problem) return h("p", {}, standIn.problem);
    if (!state) return h("p", {}, "Asking the stand-in …");
    const off = Object.entries(state.datasets).filter(([, dataset]) => !dataset.shared).map(([id]) => `Access to ${id} is denied`);
    const ways = EVENTS.filter(({ of, on }) => state.events[of] === on).map(({ text }) => text);
    const hidden = [...Object.entries(state.pipelines), ...Object.entries(state.datasets)].filter(([, each]) => !each.shared_with_all).map(([id]) => `There are no events of ${id}`);
    const lines = [...(state.rejects ? ["The credentials are rejected"] : []), ...off, ...ways, ...hidden, ...state.troubles.map(described)];
    return [h("header", {}, h("h2", {}, lines.length ? "What is waiting" : "It behaves well"),
      lines.length ? h("div.buttons", {}, act("Behave again", "Clearing", () => standIn.clear(), "Behave again")) : null),
    lines.length ? h("ul", {}, ...lines.map((each) => h("li", {}, each))) : h("p.note", {}, "No switch is set.")];
  }

  function cards(standIn, state) {
    const groups = [...new Set(SWITCHES.map((each) => each.group))];
    return [...groups.map((group) => h("section.card", { "aria-label": group }, h("h2", {}, group, " …"),
      ...SWITCHES.filter((each) => each.group === group).map((each) => line(standIn, each)))),
    h("section.card", { "aria-label": "Access" }, h("h2", {}, "Access"),
      flip("The credentials are rejected", "Every call is answered 401.", state.rejects, (on) => standIn.credentials(!on)),
      ...Object.entries(app.routes).filter(([, route]) => route && state.datasets[route.dataset_id]).map(([name, route]) =>
        flip(`Access is denied to the dataset of ${name}`, `403 for ${route.dataset_id}.`, !state.datasets[route.dataset_id].shared, (on) => standIn.share(route.dataset_id, { shared: !on })))),
    eventsCard(standIn, state),
    h("section.card", { "aria-label": "Gates" }, h("h2", {}, "Gates"),
      h("p.note", {}, "A setting of the route in AWS: rows in this output hold the run, until it is released."),
      ...Object.entries(app.routes).filter(([, route]) => route && state.pipelines[route.pipeline_id]).flatMap(([name, route]) =>
        state.pipelines[route.pipeline_id].outputs.filter((output) => /report/i.test(output)).map((output) =>
          flip(`${name} is held by rows in ${output}`, "", (route.hold_if_rows ?? []).includes(output), (on) => gate(name, route, output, on)))))];
  }

  /** How events are sent, what became of the last ones, and what others update. */
  function eventsCard(standIn, { events, pipelines, datasets }) {
    const routes = Object.values(app.routes).filter(Boolean), uploaded = new Set(routes.map((route) => route.dataset_id));
    const ours = [...new Set(routes.map((route) => route.pipeline_id))].filter((id) => pipelines[id]);
    const others = Object.keys(datasets).filter((id) => !uploaded.has(id));
    const { taken, failed, lost, waiting: going } = events.counts;
    return h("section.card", { "aria-label": "Events" }, h("h2", {}, "Events"),
      h("p.note", {}, events.url ? `${taken} taken, ${failed} failed, ${lost} lost, ${going} under way.` : "The stack takes no events: nobody has subscribed."),
      events.deliveries.length ? h("ul", {}, ...events.deliveries.slice(-NEWEST).reverse().map(delivery)) : null,
      ...EVENTS.map(({ text, note, of, on, off }) => flip(text, note ?? "", events[of] === on, (set) => standIn.events({ [of]: set ? on : off }))),
      ...ours.map((id) => flip(`${id} is not shared with the whole organisation`, "There are no events of it.", !pipelines[id].shared_with_all, (on) => standIn.tellOf(id, !on))),
      ...others.map((id) => h("div.switch", {}, h("p", {}, `Somebody else updates ${id}`), act("Update", "Updating", () => standIn.update(id), `Update: ${id}`))));
  }

  /** One switch that is set for the next calls. */
  function line(standIn, { text, n, note, orders: made, group }) {
    const number = n === undefined ? null : h("input", { type: "number", min: 1, max: 999, value: n, "aria-label": `${group}: number`, "data-key": `number ${text}` });
    const [before, after] = text.split("{n}");
    const set = async () => {
      const chosen = Math.max(1, Math.round(Number(number?.value)) || 1);
      for (const order of made(chosen)) await standIn.trouble(order);
      app.say(`Set: ${group.toLowerCase()} ${text.replace("{n}", String(chosen))}.`);
    };
    return h("div.switch", {}, h("p", {}, before, number, after, note ? h("span.note", {}, ` (${note})`) : null),
      act("Set", "Setting", set, `Set: ${group} ${text.replace("{n}", "…")}`));
  }

  /** One switch that stays until it is put right. */
  const flip = (text, note, on, set) => h("div.switch", {}, h("p", {}, text, note ? h("span.note", {}, ` ${note}`) : null, on ? h("b.on", {}, " On") : null),
    act(on ? "Put right" : "Set", on ? "Putting right" : "Setting", () => set(!on), `${on ? "Put right" : "Set"}: ${text}`, on ? { kind: ".primary" } : {}));

  /** Let rows in an output hold a route's runs, or not. */
  async function gate(name, route, output, on) {
    const gates = [...(route.hold_if_rows ?? []).filter((each) => each !== output), ...(on ? [output] : [])];
    const { hold_if_rows: _, ...rest } = route;
    const value = JSON.stringify(gates.length ? { ...rest, hold_if_rows: gates } : rest);
    await ssm("PutParameter", { Name: `${app.stack.outputs.RoutesPath}/${name}`, Value: value, Type: "String", Overwrite: true });
  }

  return { element, render, refresh: () => app.standIn.refresh() };
}
