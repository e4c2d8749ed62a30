/** A state machine's definition as states and edges, in layers from its start to its end. */

export const START = "▶", END = "■"; // no state may be called so: they are not letters

const OPERATORS = {
  StringEquals: "is", NumericEquals: "is", BooleanEquals: "is", StringMatches: "is like",
  NumericGreaterThan: ">", NumericLessThan: "<", IsPresent: "is given",
};

/** What a Choice's rule says, in a few words. */
export function ruleText(rule) {
  if (rule.And || rule.Or) return (rule.And ?? rule.Or).map(ruleText).join(rule.And ? " and " : " or ");
  if (rule.Not) return `not ${ruleText(rule.Not)}`;
  if (rule.Condition) return String(rule.Condition).replace(/^{%\s*|\s*%}$/g, "");
  const operator = Object.keys(rule).find((key) => !["Variable", "Next", "Comment", "Output", "Assign"].includes(key));
  const variable = String(rule.Variable ?? "").replace(/^\$\.?/, "");
  const said = OPERATORS[operator] ?? operator;
  if (operator === "IsPresent") return `${variable} ${rule[operator] ? "is given" : "is missing"}`;
  return `${variable} ${said} ${rule[operator]}`;
}

/** The variable that all rules of a Choice compare with a text, or "". */
export function asked(state) {
  const rules = state.Choices ?? [], variables = new Set(rules.map((rule) => rule.Variable));
  const alike = rules.every((rule) => rule.StringEquals !== undefined) && variables.size === 1;
  return alike ? [...variables][0].replace(/^\$\.?/, "") : "";
}

/** The edges that leave a state: `{from, to, label, caught}`. */
function edgesFrom(name, state) {
  const alike = asked(state);
  const edges = (state.Choices ?? []).map((rule) => ({ to: rule.Next, label: alike ? rule.StringEquals : ruleText(rule) }));
  if (state.Default) edges.push({ to: state.Default, label: "otherwise" });
  if (state.Next) edges.push({ to: state.Next, label: "" });
  if (state.End || state.Type === "Succeed" || state.Type === "Fail") edges.push({ to: END, label: "" });
  for (const handler of state.Catch ?? []) {
    edges.push({ to: handler.Next, label: handler.ErrorEquals.join(", "), caught: true });
  }
  return edges.map((edge) => ({ caught: false, ...edge, from: name }));
}

/** The machines inside a state: of a Map one, of a Parallel its branches. */
export function inside(state) {
  if (state.Type === "Parallel") return state.Branches;
  return state.Type === "Map" ? [state.ItemProcessor ?? state.Iterator] : [];
}

/** All transitions of a machine, without those inside its states. */
export function transitions(machine) {
  const edges = [{ from: START, to: machine.StartAt, label: "", caught: false }];
  for (const [name, state] of Object.entries(machine.States)) edges.push(...edgesFrom(name, state));
  return edges;
}

/** The layer of each node, by name, and the edges; those that lead back have `back: true`. */
export function layered(machine) {
  const edges = transitions(machine);
  const leaving = new Map();
  for (const edge of edges) leaving.set(edge.from, [...(leaving.get(edge.from) ?? []), edge]);
  const done = new Set(), open = new Set(), order = [];
  const visit = (node) => {
    open.add(node);
    for (const edge of leaving.get(node) ?? []) {
      edge.back = open.has(edge.to);
      if (!edge.back && !done.has(edge.to)) visit(edge.to);
    }
    open.delete(node);
    done.add(node);
    order.unshift(node);
  };
  visit(START);
  // What nothing leads to is still shown, at the top.
  for (const name of Object.keys(machine.States)) if (!done.has(name)) visit(name);
  const layer = new Map(order.map((node) => [node, 0]));
  for (const node of order) {
    for (const edge of leaving.get(node) ?? []) {
      if (!edge.back) layer.set(edge.to, Math.max(layer.get(edge.to), layer.get(node) + 1));
    }
  }
  return { layer, edges };
}
