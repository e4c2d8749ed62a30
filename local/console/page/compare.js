/** Two runs of a route side by side: rows, columns and versions. */

import { decoded, records } from "./csv.js";
import { duration, h, moment, rowsOf, show } from "./dom.js";
import { beginning, document as read } from "./s3.js";

const BYTES = 64 * 1024; // of an output, for its header

/** Make the view. */
export function compareView(app) {
  const table = h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Two runs" });
  const element = h("div.page.compare", {}, h("h1", {}, "Side by side"), h("p.lead", {}, "What differs is marked with ≠."), table);
  let sides = null, known = "";

  async function refresh() {
    if (known === app.name && sides?.every((each) => each && !each.run.running)) return;
    const names = app.name.split("/");
    const found = await Promise.all(names.map(side));
    [sides, known] = [found, app.name];
  }

  /** A run with its manifest and the columns of its outputs. */
  async function side(name) {
    const run = await app.runs.named(name, app.routes);
    if (!run) return null;
    const [bucket, key] = run.manifest ?? [];
    const manifest = key ? await read(bucket, key).catch((error) => {
      if (error.code) return null; // a release has moved it
      throw error;
    }) : null;
    const columns = new Map();
    for (const output of manifest?.outputs ?? []) {
      const { bytes, more } = await beginning(bucket, output.key, BYTES);
      columns.set(output.name, records(decoded(bytes), 1, more)[0] ?? []);
    }
    return { run, manifest, columns };
  }

  function render() {
    show(table, [app.name, known, sides?.map((each) => each?.run)], () => {
      if (known !== app.name || !sides) return h("p.empty", {}, "Reading both runs …");
      if (sides.length !== 2 || sides.includes(null)) return h("p.empty", {}, "One of these runs, or both, is not in this stack: a stack that was started anew has forgotten the earlier ones.");
      return h("table", {}, h("thead", {}, h("tr", {}, h("td"), ...sides.map(({ run }) => h("th", { scope: "col" }, h("a", { href: `#/runs/${encodeURIComponent(run.name)}` }, run.name))))),
        h("tbody", {}, ...lines(sides).map(([title, ...values]) => {
          const differs = values[0] !== values[1];
          return h(differs ? "tr.differs" : "tr", {}, h("th", { scope: "row" }, differs ? `≠ ${title}` : title), ...values.map((value) => h("td", {}, value ?? "—")));
        })));
    });
  }

  return { element, render, refresh };
}

/** What is compared: a title, and what each side has of it. */
function lines(sides) {
  const each = (title, of) => [title, ...sides.map(of)];
  const outputs = [...new Set(sides.flatMap(({ columns }) => [...columns.keys()]))];
  const output = ({ manifest }, name) => manifest?.outputs.find((found) => found.name === name);
  return [
    each("file", ({ run }) => run.key), each("status", ({ run }) => run.status), each("started", ({ run }) => moment(run.started)),
    each("took", ({ run }) => (run.running ? "goes on" : duration(run.stopped - run.started))),
    each("version of the file", ({ manifest }) => manifest?.source?.version_id), each("SHA-256 of the file", ({ manifest }) => manifest?.source?.sha256),
    each("made by", ({ manifest }) => (manifest ? JSON.stringify(manifest.made_by ?? null) : null)),
    each("processed by", ({ run }) => run.processed_by),
    each("rows in", ({ run }) => run.rows_in),
    ...outputs.flatMap((name) => [
      each(`rows of ${name}`, (one) => output(one, name) && rowsOf(output(one, name).rows)),
      each(`columns of ${name}`, ({ columns }) => columns.get(name)?.join(", ")),
    ]),
  ];
}
