/** Elements without HTML in strings: all that is shown is text. */

import { UNSEEN } from "./unseen.js"; // local/console/served.py makes it

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("p.note", {onclick}, "text", child, …)`; null and false are left out. */
export function h(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false).map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}

/** A text whose characters can all be seen: what commands, turns around or is not there is shown as its escape. */
export const visible = (text) => text.replace(UNSEEN, (char) => (char === "\n" ? char : escaped(char)));
/** A name in one line: its line breaks are shown, too. */
export const named = (text) => text.replace(UNSEEN, escaped);

/** A character as Python escapes it. */
function escaped(char) {
  const code = char.codePointAt(0), hex = code.toString(16);
  const known = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[char];
  return known ?? (code < 0x100 ? `\\x${hex.padStart(2, "0")}` : code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`);
}

/** Rows, or that they are not counted. */
export const rowsOf = (rows) => (rows === null || rows === undefined ? "rows not counted" : counted(rows, "row"));

/** A tree of SVG as picture.js makes it. */
export function svg([tag, attributes, ...children]) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (name !== "xmlns") element.setAttribute(name, value);
  element.append(...children.map((child) => (Array.isArray(child) ? svg(child) : child)));
  return element;
}

const shown = new WeakMap();

/** Show `build()` in a place, but only if what it depends on has changed; the focus stays where it was. */
export function show(place, depends, build) {
  const signature = JSON.stringify(depends);
  if (shown.get(place) === signature) return false;
  shown.set(place, signature);
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...[build()].flat().filter(Boolean));
  if (focused) [...place.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus({ preventScroll: true });
  return true;
}

/** A button whose work takes time: it is busy meanwhile, and says in `said` what went wrong. */
export function button(label, busy, work, { kind = "", key = label, title = null, said } = {}) {
  const made = h(`button${kind}`, { type: "button", "data-key": key, title, onclick: async () => {
    if (made.getAttribute("aria-disabled")) return;
    made.setAttribute("aria-disabled", "true");
    made.textContent = `${busy} …`;
    said?.(""); // what went wrong before is over
    try {
      await work();
    } catch (error) {
      said?.(`${label}: ${error.message}`);
    } finally {
      made.removeAttribute("aria-disabled");
      made.textContent = label;
    }
  } }, label);
  return made;
}

// --- moments -------------------------------------------------------------------------------------
/** Milliseconds in the two largest units that they have, as stp says them: what runs counts on here. */
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000), whole = Math.round(seconds);
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const parts = [[whole / 86400, "d"], [(whole / 3600) % 24, "h"], [(whole / 60) % 60, "min"], [whole % 60, "s"]].map(([count, unit]) => [Math.floor(count), unit]);
  const first = parts.findIndex(([count]) => count);
  return parts.slice(first, first + 2).filter(([count]) => count).map((part) => part.join(" ")).join(" ");
}

const two = (number) => String(number).padStart(2, "0");

/** A moment: the time, with the day where it is not today. */
export function moment(milliseconds) {
  const at = new Date(milliseconds), time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** How long something goes on by now; `tick` keeps it current. */
export const running = (since) => h("span.running", { "data-since": since }, duration(Date.now() - since));

/** Let all that is running count on. */
export function tick() {
  for (const each of document.querySelectorAll("[data-since]")) {
    const text = duration(Math.floor((Date.now() - Number(each.dataset.since)) / 1000) * 1000).replace(/\.0 s$/, " s");
    if (each.textContent !== text) each.textContent = text;
  }
}

/** Bytes as people say them. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export const counted = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
