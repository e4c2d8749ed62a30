/** Files as one ZIP, stored as they are. Source: PKWARE, APPNOTE.TXT, 4.3 (and 4.4.4, bit 11: names are UTF-8). */

const MOST = 2 ** 32 - 1; // bytes that a ZIP without extensions holds
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function crc(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = TABLE[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** Numbers of two or four bytes, the lowest first. */
function packed(...numbers) {
  const made = new DataView(new ArrayBuffer(numbers.reduce((sum, [, size]) => sum + size, 0)));
  let at = 0;
  for (const [number, size] of numbers) {
    if (size === 4) made.setUint32(at, number, true);
    else made.setUint16(at, number, true);
    at += size;
  }
  return new Uint8Array(made.buffer);
}

/** The parts of a ZIP of `[name, bytes]`; names are told apart by a number. Raises RangeError. */
export function zipped(files) {
  const parts = [], central = [], seen = new Map();
  let at = 0, length = 0;
  const encoder = new TextEncoder();
  for (const [wanted, bytes] of files) {
    const times = (seen.get(wanted) ?? 0) + 1;
    seen.set(wanted, times);
    const name = encoder.encode(times === 1 ? wanted : `${times} ${wanted}`);
    const size = bytes.length;
    const about = [[20, 2], [0x800, 2], [0, 2], [0, 2], [0x21, 2], [crc(bytes), 4], [size, 4], [size, 4], [name.length, 2], [0, 2]];
    const head = packed([0x04034b50, 4], ...about);
    const entry = packed([0x02014b50, 4], [20, 2], ...about, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]);
    parts.push(head, name, bytes);
    central.push(entry, name);
    at += head.length + name.length + size;
    length += entry.length + name.length;
  }
  if (at + length > MOST || files.length > 0xffff) throw new RangeError("The outputs are too large for one file: save them one by one.");
  return [...parts, ...central, packed([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [length, 4], [at, 4], [0, 2])];
}
