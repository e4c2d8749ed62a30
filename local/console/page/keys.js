/** What keys do, the overlay that tells it, and the switch between light and dark. */

import { h } from "./dom.js";

const KEYS = [
  ["?", "this help"], ["/", "look for a run by its file or name"], ["g", "all runs at a glance"], ["q", "queues"], ["s", "switches"],
  ["Up, Down, Home, End", "in the list of runs and in the steps"], ["Enter", "open what has the focus"], ["Esc", "close this help; from a run, back to all"],
];
const LEAD = { g: "#/runs", q: "#/queues", s: "#/switches", Escape: "#/runs" };
const SCHEMES = { "light dark": "as the system", light: "light", dark: "dark" };
const KEPT = "color-scheme";

/** Make the overlay and the buttons of the page's head, and listen. */
export function listen() {
  const help = h("dialog.help", { "aria-labelledby": "keys" }, h("h2", { id: "keys" }, "Keys"),
    h("dl", {}, ...KEYS.map(([key, what]) => h("div", {}, h("dt", {}, ...key.split(", ").flatMap((each) => [h("kbd", {}, each), " "])), h("dd", {}, what)))),
    h("button", { type: "button", onclick: () => help.close() }, "Close"));
  document.body.append(help);
  document.querySelector(".top").append(h("div.buttons", {}, scheme(), h("button.small", { type: "button", "aria-label": "Help for the keyboard", onclick: () => help.showModal() }, "?")));
  document.addEventListener("keydown", (event) => {
    const writes = event.target.closest?.("input:not([type=radio], [type=checkbox]), select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || writes || document.querySelector("dialog[open]")) return;
    if (event.key === "?") help.showModal();
    else if (event.key === "/") search();
    else if (LEAD[event.key]) location.hash = LEAD[event.key];
    else return;
    event.preventDefault();
  });
}

/** Lead to the field of the search, once it is there. */
function search() {
  if (!location.hash.startsWith("#/runs")) location.hash = "#/runs";
  setTimeout(() => document.querySelector("input[type=search]")?.focus());
}

/** The switch between light, dark and the system's own; what was chosen is kept by the browser. */
function scheme() {
  const all = Object.keys(SCHEMES), root = document.documentElement;
  const set = (wanted) => {
    const chosen = all.includes(wanted) ? wanted : all[0];
    root.style.colorScheme = chosen;
    root.dataset.scheme = chosen;
    made.textContent = `Colours: ${SCHEMES[chosen]}`;
  };
  const made = h("button.small", { type: "button", onclick: () => {
    const next = all[(all.indexOf(root.dataset.scheme) + 1) % all.length];
    localStorage.setItem(KEPT, next);
    set(next);
  } });
  set(localStorage.getItem(KEPT));
  return made;
}
