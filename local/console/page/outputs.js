/** What came back: the outputs of a run's manifest, one of them as a table, and links to save them. */

import { decoded, numeric, records } from "./csv.js";
import { button, counted, h, named, rowsOf, show, size } from "./dom.js";
import { beginning, document as read, link, whole } from "./s3.js";
import { zipped } from "./zip.js";

const KEPT = 60_000; // milliseconds that a download has to begin
const BYTES = 64 * 1024, ROWS = 50; // of a preview

/** Make the place for one run's outputs. */
export function outputsOf(app) {
  const list = h("div.files"), table = h("div.preview");
  const element = h("section.outputs", { "aria-label": "Outputs" }, list, table);
  let now = {};

  function reset() {
    now = { manifest: null, place: "", chosen: 0, releasedBy: "", previews: new Map(), links: new Map(), said: "" };
  }
  reset();

  /** Read the manifest once it is there, and the output that is looked at. */
  async function readAll(run, releasedBy) {
    const [bucket, manifest] = run.manifest ?? [], mine = now;
    mine.releasedBy = releasedBy; // it has moved them into its own folder
    if (!manifest || releasedBy) {
      mine.manifest = null;
      return;
    }
    if (mine.place !== manifest) {
      try {
        mine.manifest = await read(bucket, manifest);
        // The table that was made of the file, or of each of a set, beside what came of it.
        for (const { file, prepared } of [mine.manifest, ...(mine.manifest.members ?? [])])
          if (prepared) mine.manifest.outputs.push({ name: file ? `What was sent: ${file}` : "What was sent", ...prepared });
        mine.said = "";
      } catch (error) {
        if (!error.code) throw error;
        mine.said = `The manifest could not be read: ${error.message}`;
      }
      mine.place = manifest;
      mine.bucket = bucket;
    }
    for (const { key } of mine.manifest?.outputs ?? []) if (!mine.links.has(key)) mine.links.set(key, await link(bucket, key));
    await preview(mine);
  }

  async function preview(mine) {
    const output = mine.manifest?.outputs[mine.chosen];
    if (!output || mine.previews.has(output.key)) return;
    try {
      const { bytes, more } = await beginning(mine.bucket, output.key, BYTES);
      const found = records(decoded(bytes), ROWS + 1, more);
      mine.previews.set(output.key, { head: found[0] ?? [], rows: found.slice(1) });
    } catch (error) {
      if (!error.code) throw error;
      mine.previews.set(output.key, { problem: `${output.name} could not be read: ${error.message}` });
    }
  }

  /** Show what is known now. */
  function render(run) {
    const outputs = now.manifest?.outputs;
    show(list, [run.running, run.status, run.manifest, outputs, now.chosen, now.said, now.links.size, now.releasedBy], () => [
      h("div.outputshead", {}, h("h3", {}, "Outputs"), outputs?.length ? all(run, outputs) : null), outputs?.length ? files(run, outputs) : h("p.note", {}, now.said || nothing(run))]);
    const output = outputs?.[now.chosen], seen = output && now.previews.get(output.key);
    show(table, [output, seen], () => output && (seen ? shown(output, seen) : h("p.note", {}, `Reading ${output.name} …`)));
  }

  function nothing(run) {
    if (now.releasedBy) return `They lie with the run that released them, ${now.releasedBy}.`;
    if (run.running) return "They appear here when the run is published.";
    if (run.manifest && !now.manifest) return "Reading the manifest …";
    if (run.manifest) return run.status === "Skipped" ? "There are none: the file was skipped." : "The run made no outputs.";
    return "There are none: the run ended before it was published.";
  }

  /** The button that saves all outputs and the manifest as one file. */
  function all(run, outputs) {
    const said = h("span.bad.said", { role: "alert" });
    const save = button("Save all", "Saving", async () => {
      const keys = [...outputs.map((output) => output.key), run.manifest[1]];
      const found = [];
      for (const key of keys) found.push([key.split("/").pop(), await whole(now.bucket, key)]);
      const address = URL.createObjectURL(new Blob(zipped(found), { type: "application/zip" }));
      h("a", { href: address, download: `${run.name}.zip` }).click();
      setTimeout(() => URL.revokeObjectURL(address), KEPT);
    }, { kind: ".small", said: (text) => { said.textContent = text; }, title: "All outputs and the manifest as one ZIP" });
    return [said, save];
  }

  function files(run, outputs) {
    return h("ul", {}, ...outputs.map((output, at) => h("li", {},
      h("button.file", { type: "button", "data-key": output.key, "aria-pressed": String(at === now.chosen), onclick: () => choose(run, at) }, named(output.name)),
      h("span.rows", { title: output.rows_reason ?? null }, rowsOf(output.rows)),
      h("span.amount", {}, size(output.bytes)),
      now.links.has(output.key) ? h("a.save", { href: now.links.get(output.key), download: output.key.split("/").pop(), "aria-label": `Save ${output.name}` }, "Save") : null)));
  }

  async function choose(run, at) {
    now.chosen = at;
    render(run);
    await preview(now).catch(() => app.poke());
    render(run);
  }

  return { element, read: readAll, render, reset };
}

/** The first rows of an output; every cell is text. */
function shown(output, { head, rows, problem }) {
  if (problem) return h("p.bad", {}, problem);
  if (!head.length) return h("p.note", {}, `${output.name} is empty.`);
  const numbers = head.map((_, column) => numeric(rows.map((row) => row[column] ?? "")));
  const kind = (column) => (numbers[column] ? "number" : null);
  const all = output.rows ?? rows.length;
  return [
    h("div.scroll", { tabindex: 0, role: "region", "aria-label": `First rows of ${output.name}` },
      h("table", {},
        h("thead", {}, h("tr", {}, ...head.map((cell, column) => h("th", { scope: "col", class: kind(column) }, cell)))),
        h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell, column) => h("td", { class: kind(column) }, cell))))))),
    h("p.note", {}, rows.length < all ? `The first ${counted(rows.length, "row")} of ${all.toLocaleString("en")}.` : `All ${counted(rows.length, "row")}.`),
  ];
}
