/** The ways of a picture's edges: straight down to the next layer, else in lanes at both sides. */

const LANE = 14, STUB = 16, PORT = 15;
const LETTER = 5.8; // a wide guess for 11 px

const wide = (text) => Math.ceil(text.length * LETTER);

/** The edges with their points and the places of their labels, and how far they reach. */
export function routed(nodes, edges, column) {
  const sides = { left: [], right: [] };
  const ways = edges.map((edge) => {
    const from = nodes.get(edge.from), to = nodes.get(edge.to);
    if (!edge.back && to.layer === from.layer + 1) return straight(edge, from, to);
    const way = { ...edge, side: edge.back ? "left" : "right", top: Math.min(from.layer, to.layer), bottom: Math.max(from.layer, to.layer) };
    sides[way.side].push(way);
    return way;
  });
  giveLanes(sides.left);
  giveLanes(sides.right);
  for (const side of ["left", "right"]) for (const each of nodes.values()) givePorts(each, side, sides[side]);
  let left = 0, right = column;
  for (const side of ["left", "right"]) {
    const outwards = side === "left" ? -1 : 1;
    const edge = (node) => (side === "left" ? node.x : node.x + node.width);
    // Behind the widest state, and behind every label.
    const reach = sides[side].map((way) => outwards * edge(nodes.get(way.from)) + 6 + wide(way.label));
    const first = outwards * (Math.max(side === "left" ? 0 : column, ...reach) + STUB);
    for (const way of sides[side]) {
      const lane = first + outwards * way.lane * LANE;
      const [startX, startY] = port(nodes.get(way.from), way.fromPort, side);
      const [endX, endY] = port(nodes.get(way.to), way.toPort, side);
      way.points = [[startX, startY], [lane, startY], [lane, endY], [endX, endY]];
      way.labelAt = [edge(nodes.get(way.from)) + outwards * 6, startY - 4];
      way.anchor = side === "left" ? "end" : "start";
      left = Math.min(left, lane);
      right = Math.max(right, lane);
    }
  }
  for (const way of ways) if (!way.side && way.label) right = Math.max(right, way.labelAt[0] + wide(way.label));
  return { edges: ways, left, right };
}

/** An edge to the next layer. */
function straight(edge, from, to) {
  const start = [from.x + from.width / 2, from.y + from.height], end = [to.x + to.width / 2, to.y];
  const middle = (start[1] + end[1]) / 2;
  const points = start[0] === end[0] ? [start, end] : [start, [start[0], middle], [end[0], middle], end];
  // Beside the last stretch: no line goes through its words.
  return { ...edge, points, labelAt: [end[0] + 8, (points.at(-2)[1] + end[1]) / 2 + 4], anchor: "start" };
}

/** The shortest edges get the inner lanes; no two in one lane meet. */
function giveLanes(ways) {
  const taken = [];
  for (const way of [...ways].sort((a, b) => a.bottom - a.top - (b.bottom - b.top))) {
    way.lane = taken.findIndex((lane) => lane.every((other) => other.bottom < way.top || other.top > way.bottom));
    if (way.lane < 0) way.lane = taken.push([]) - 1;
    taken[way.lane].push(way);
  }
}

/** The places where edges touch one side of a state, in an order in which they do not cross. */
function givePorts(node, side, ways) {
  // What goes up or comes from above keeps to the upper half, its inner lanes first; the other
  // way round below, where the inner lanes come last.
  const ends = ways.flatMap((way) => [
    ...(way.from === node.name ? [{ way, key: "fromPort", up: way.back }] : []),
    ...(way.to === node.name ? [{ way, key: "toPort", up: !way.back }] : []),
  ]);
  const above = ends.filter((end) => end.up).sort((a, b) => a.way.lane - b.way.lane);
  const below = ends.filter((end) => !end.up).sort((a, b) => b.way.lane - a.way.lane);
  const all = [...above, ...below];
  const between = Math.min(PORT, (node.height - 8) / Math.max(1, all.length - 1));
  all.forEach((end, at) => { end.way[end.key] = (at - (all.length - 1) / 2) * between; });
}

/** Where a port lies: on the box, or on a Choice's slanted side. */
function port(node, offset, side) {
  const inwards = (node.slant * Math.abs(offset)) / (node.height / 2);
  const x = side === "left" ? node.x + inwards : node.x + node.width - inwards;
  return [x, node.y + node.height / 2 + offset];
}
