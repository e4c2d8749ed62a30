/** CSV as RFC 4180 has it. */

/** The first `most` records of a text; one that may be cut off at the end is left out. */
export function records(text, most, more = false) {
  const found = [];
  let record = [], field = "", quoted = false, at = 0;
  const end = () => {
    record.push(field);
    field = "";
    found.push(record);
    record = [];
  };
  for (; at < text.length && found.length < most; at += 1) {
    const c = text[at];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[at + 1] === '"') field += text[(at += 1)];
      else quoted = false;
    } else if (c === '"' && field === "") quoted = true;
    else if (c === ",") {
      record.push(field);
      field = "";
    } else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[at + 1] === "\n") at += 1;
      end();
    } else field += c;
  }
  if (found.length < most && (field !== "" || record.length) && !more) end();
  return found;
}

/** Bytes as text: UTF-8, without its byte-order mark; a character that is cut off is left out. */
export const decoded = (bytes) => new TextDecoder("utf-8").decode(bytes, { stream: true });

/** Whether a column's cells are all numbers, so that they stand to the right. */
export const numeric = (cells) => cells.some((cell) => cell !== "") && cells.every((cell) => /^[-+]?[\d,]*\.?\d*%?$/.test(cell));
