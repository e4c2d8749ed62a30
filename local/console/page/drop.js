/** Where files are dropped onto a route, and how far each has come. */

import { h, show, size } from "./dom.js";
import { fact } from "./facts.js";
import { upload } from "./s3.js";

const PATIENCE = 10_000; // milliseconds until a run should have begun; one that begins later is followed too
const SHOWN = 4000; // milliseconds that a drop is shown after its run has begun

/** Make the zone. */
export function dropZone(app) {
  const drops = [];
  const input = h("input.hidden", { type: "file", multiple: true, tabindex: -1, "aria-label": "Files to drop", onchange: () => {
    take([...input.files], chosen());
    input.value = "";
  } });
  const routes = h("div.routes", { role: "radiogroup", "aria-label": "Route" });
  const entries = h("ul.drops", { "aria-label": "Uploads" });
  const choose = h("button.primary", { type: "button", onclick: () => input.click() }, "Choose files …");
  const element = h("div.drop", {},
    h("p.lead", {}, "Drop files on a route"), routes,
    h("div.choose", {}, choose, h("span", {}, "for the chosen route")), input, entries);
  const chosen = () => routes.querySelector("input:checked")?.value;

  // --- dragging --------------------------------------------------------------------------------
  const over = (event) => event.target.closest?.("[data-route]");
  const light = (target) => {
    for (const each of element.querySelectorAll(".over")) each.classList.remove("over");
    target?.classList.add("over");
  };
  for (const kind of ["dragenter", "dragover"]) {
    element.addEventListener(kind, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      light(over(event) ?? element);
      element.classList.add("dragging");
    });
  }
  const calm = () => {
    light(null);
    element.classList.remove("dragging", "over");
  };
  element.addEventListener("dragleave", (event) => (element.contains(event.relatedTarget) ? null : calm()));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    calm();
    const folders = [...event.dataTransfer.items].filter((each) => each.webkitGetAsEntry?.()?.isDirectory).map((each) => each.getAsFile()?.name);
    take([...event.dataTransfer.files], over(event)?.dataset.route ?? chosen(), new Set(folders));
  });
  // A file that misses the zone must not take the page's place.
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

  // --- uploading -------------------------------------------------------------------------------
  function take(files, route, folders = new Set()) {
    const all = files.map((file) => ({ file, route, key: `${route}/${file.name}`, share: 0, version: "", said: "", bad: false }));
    drops.unshift(...all);
    const alone = all.length === 1;
    for (const drop of all) {
      if (folders.has(drop.file.name)) refuse(drop, "This is a folder: drop the files in it.");
      else send(drop, alone);
    }
    render();
  }

  async function send(drop, alone) {
    const { InboxBucket: bucket } = app.stack.outputs, { IgnorePatterns: patterns, InboxPrefix: prefix = "" } = app.stack.parameters;
    try {
      const refused = await fact("refused", { key: drop.key, size: drop.file.size, patterns, prefix });
      if (refused) {
        refuse(drop, refused);
        return;
      }
      drop.version = await upload(bucket, drop.key, drop.file, (share) => {
        drop.share = share;
        render();
      });
      Object.assign(drop, { at: Date.now(), alone });
      drop.expected = (await fact("dropped", { bucket, key: drop.key, version: drop.version })).run;
    } catch (error) {
      refuse(drop, error.message);
      return;
    }
    app.poke();
  }

  function refuse(drop, text) {
    Object.assign(drop, { said: text, bad: true });
    render();
  }

  /** Find the run that a drop has started. */
  function follow(drop) {
    if (drop.run || !drop.expected) return;
    const run = app.runs?.listed.find((each) => each.name === drop.expected);
    if (run) {
      Object.assign(drop, { run: run.name, said: "", bad: false });
      setTimeout(() => drops.splice(drops.indexOf(drop), 1) && render(), SHOWN);
      if (drop.alone && app.view === "runs") location.hash = `#/runs/${encodeURIComponent(run.name)}`;
    } else if (!drop.bad && Date.now() - drop.at > PATIENCE) {
      refuse(drop, "Uploaded, but no run has begun yet: it is waited for. stp doctor finds out why.");
    }
  }

  /** Show what is known now. */
  function render() {
    const names = Object.keys(app.routes), before = chosen();
    choose.disabled = !names.length;
    show(routes, [names, Boolean(app.stack)], () => names.length
      ? names.map((name, at) => h("label.route", { "data-route": name },
        h("input", { type: "radio", name: "route", value: name, checked: name === before || (!before && !at), "data-key": `route ${name}` }), name))
      : h("p.note", {}, app.stack ? "The stack has no route yet. Add one: stp routes apply." : "Reading the routes …"));
    drops.forEach(follow);
    show(entries, drops.map((drop) => [drop.key, drop.share, drop.said, drop.version, drop.run]), () => drops.map(entry));
    entries.hidden = !drops.length;
  }

  function entry(drop) {
    const done = drop.version || drop.bad;
    const said = drop.said || (drop.run ? "its run has begun" : drop.version ? "uploaded, its run begins …" : `${Math.floor(drop.share * 100)} %`);
    return h(`li${drop.bad ? ".bad" : ""}`, {},
      h("span.file", {}, drop.key), h("span.amount", {}, size(drop.file.size)),
      done ? null : h("progress", { max: 1, value: drop.share, "aria-label": `Upload of ${drop.key}` }),
      h("span.said", {}, drop.run ? h("a", { href: `#/runs/${encodeURIComponent(drop.run)}` }, said) : said),
      drop.bad ? h("button.small", { type: "button", "aria-label": `Forget ${drop.key}`, onclick: () => drops.splice(drops.indexOf(drop), 1) && render() }, "×") : null);
  }

  return { element, render };
}
