/** The picture of a state machine: a pure function from its definition to a tree of SVG elements. */

import { END, START, asked, inside, layered } from "./graph.js";
import { routed } from "./lanes.js";

const HEIGHT = 40, GAP = 34, ASIDE = 24, PADDING = 14, HEADER = 30, SLANT = 16;
const CHARACTER = 7.2; // a wide guess for 13 px: no font is measured, so that all machines draw alike
const ROUND = 9; // radius of start and end

/** The layout and the drawing: `{tree, width, height, boxes, edges}`; all lengths in pixels. */
export function picture(definition, title = "State machine") {
  const drawn = machine(definition, "");
  const tree = ["svg", {
    xmlns: "http://www.w3.org/2000/svg", class: "picture", role: "img", "aria-label": title,
    viewBox: `0 0 ${drawn.width} ${drawn.height}`, width: drawn.width, height: drawn.height,
  }, ["defs", {},
    ["marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
      ["path", { class: "head", d: "M0 0.5 L7.5 4 L0 7.5 z" }]]],
  ...drawn.shapes];
  return { ...drawn, tree };
}

/** One machine, at the origin; a Map's inner one is drawn by the same function. */
function machine(definition, path) {
  const { layer, edges: all } = layered(definition);
  // Start and end of a machine inside a state are those of the state.
  if (path) [START, END].forEach((each) => layer.delete(each));
  const edges = all.filter((edge) => layer.has(edge.from) && layer.has(edge.to));
  const nodes = new Map([...layer.keys()].map((name) => [name, node(name, definition.States[name], path)]));
  const plain = [...nodes.values()].filter((each) => !each.inner.length && !each.slant && definition.States[each.name]);
  const common = Math.max(...plain.map((each) => each.width)); // all alike, so that they line up
  for (const each of plain) each.width = common;
  const rows = [];
  for (const [name, at] of layer) (rows[at - (path ? 1 : 0)] ??= []).push(nodes.get(name));
  for (const row of rows) row.sort((one, other) => side(one.name, edges) - side(other.name, edges));
  const widths = rows.map((row) => row.reduce((sum, each) => sum + each.width + ASIDE, -ASIDE));
  const column = Math.max(...widths);
  let y = PADDING;
  rows.forEach((row, at) => {
    const tall = Math.max(...row.map((each) => each.height));
    let x = (column - widths[at]) / 2;
    for (const each of row) {
      Object.assign(each, { x, y: y + (tall - each.height) / 2, layer: at });
      x += each.width + ASIDE;
    }
    y += tall + GAP;
  });
  const ways = routed(nodes, edges, column);
  const shift = PADDING - ways.left;
  for (const each of nodes.values()) each.x += shift;
  const boxes = [], shapes = ways.edges.map((way) => edgeShape(way, shift));
  for (const each of nodes.values()) {
    boxes.push({ name: each.name, path, x: each.x, y: each.y, width: each.width, height: each.height });
    shapes.push(...nodeShapes(each));
    for (const inner of each.inner) boxes.push(...inner.boxes.map((box) => moved(box, each.x + inner.x, each.y + inner.y)));
  }
  const found = ways.edges.map(({ from, to, label, caught }) => ({ from, to, label, caught, path }));
  for (const each of nodes.values()) for (const inner of each.inner) found.push(...inner.edges);
  return { shapes, boxes, edges: found, width: Math.ceil(ways.right + shift + PADDING), height: y - GAP + PADDING };
}

/** Where a state stands beside others: what goes back left, what ends right, as their edges do. */
function side(name, edges) {
  const leaving = edges.filter((edge) => edge.from === name);
  if (leaving.some((edge) => edge.back)) return -1;
  return leaving.every((edge) => edge.to === END) ? 1 : 0;
}

const moved = (box, x, y) => ({ ...box, x: box.x + x, y: box.y + y });

/** A state with its size, and the machines in it at their places. */
function node(name, state, path) {
  if (!state) return { name, state: { Type: name }, width: 2 * ROUND, height: 2 * ROUND, inner: [], slant: 0 };
  const slant = state.Type === "Choice" ? SLANT : 0;
  let width = Math.max(150, Math.ceil(name.length * CHARACTER) + 68 + 2 * slant), x = PADDING;
  let height = slant ? Math.max(HEIGHT, 12 * (state.Choices.length + 1)) : HEIGHT; // room for its edges
  const inner = inside(state).map((each) => {
    const drawn = { ...machine(each, `${path}${name}/`), x, y: HEADER };
    x += drawn.width;
    height = Math.max(height, HEADER + drawn.height);
    return drawn;
  });
  if (inner.length) width = Math.max(width, x + PADDING);
  const spare = inner.length ? (width - x - PADDING) / 2 : 0;
  for (const each of inner) each.x += spare;
  return { name, state, width, height, inner, slant };
}

/** The shapes of a state: its box with name and mark, and what is in it. */
function nodeShapes({ name, state, x, y, width, height, inner, slant }) {
  const middle = x + width / 2;
  if (name === START || name === END) {
    const circle = ["circle", { cx: middle, cy: y + ROUND, r: ROUND }];
    const word = ["title", {}, name === START ? "Start" : "End"];
    return [["g", { class: name === START ? "start" : "end" }, word, circle]];
  }
  const box = slant
    ? ["path", { class: "box", d: `M${x + slant} ${y}H${x + width - slant}L${x + width} ${y + height / 2}L${x + width - slant} ${y + height}H${x + slant}L${x} ${y + height / 2}z` }]
    : ["rect", { class: "box", x, y, width, height, rx: 7 }];
  const line = y + (inner.length ? 20 : height / 2 + (asked(state) ? -2 : 4.5));
  const texts = [
    ["text", { class: "mark", x: x + 16 + slant / 2, y: line, "text-anchor": "middle" }, ""],
    ["text", { class: "name", x: middle, y: line, "text-anchor": "middle" }, name],
    ["text", { class: "times", x: x + width - 10 - slant / 2, y: line, "text-anchor": "end" }, ""],
  ];
  if (asked(state)) texts.push(["text", { class: "label", x: middle, y: line + 17, "text-anchor": "middle" }, `${asked(state)} is …`]);
  const within = inner.map((each) => ["g", { transform: `translate(${x + each.x} ${y + each.y})` }, ...each.shapes]);
  const known = { class: `state ${state.Type.toLowerCase()}`, "data-state": name };
  return [["g", known, ["title", {}, `${name} (${state.Type})`], box, ...texts], ...within];
}

/** The line of an edge with its label. */
function edgeShape(way, shift) {
  const d = way.points.map(([x, y], at) => `${at ? "L" : "M"}${x + shift} ${y}`).join("");
  const line = ["path", { class: "line", d, "marker-end": "url(#arrow)" }];
  const text = way.label && ["text", { class: "label", x: way.labelAt[0] + shift, y: way.labelAt[1], "text-anchor": way.anchor }, way.label];
  return ["g", { class: way.caught ? "edge caught" : "edge", "data-from": way.from, "data-to": way.to }, line, ...(text ? [text] : [])];
}

/** A picture as the text of a file that needs nothing else: with its styles, on a paper of its own. */
export function fileText({ tree, width, height }, css) {
  const [tag, attributes, ...shapes] = tree;
  const paper = ["rect", { class: "paper", width, height, rx: 8 }];
  return svgText([tag, attributes, ["style", {}, `\n${css}`], paper, ...shapes]);
}

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => String(text).replace(/[&<>"]/g, (found) => ESCAPES[found]);

/** A tree as text. */
export function svgText([tag, attributes, ...children], indent = "") {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`).join("");
  if (!children.length) return `${indent}<${tag}${given}/>\n`;
  if (!Array.isArray(children[0])) return `${indent}<${tag}${given}>${children.map(escaped).join("")}</${tag}>\n`;
  return `${indent}<${tag}${given}>\n${children.map((child) => svgText(child, `${indent}  `)).join("")}${indent}</${tag}>\n`;
}
