/** Objects of S3: up with progress, down in part, and links for the browser's own download. */

import { AwsError, REGION, Unreachable, authorization, refusal, send } from "./aws.js";

const LARGEST = 5 * 1024 ** 3; // bytes of one PutObject: S3's documentation

const quoted = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The path of an object on the endpoint. */
export const pathOf = (bucket, key) => `/${bucket}/${key.split("/").map(quoted).join("/")}`;

/** Put a file and return its version; `progress` gets shares from 0 to 1. */
export function upload(bucket, key, file, progress) {
  if (file.size > LARGEST) {
    return Promise.reject(new AwsError("EntityTooLarge", "It is larger than 5 GiB: use stp drop, which uploads in parts."));
  }
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of an upload's progress
    request.open("PUT", pathOf(bucket, key));
    request.setRequestHeader("Authorization", authorization("s3"));
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 1);
    request.onerror = () => reject(new Unreachable("The upload broke off: nothing was stored. Drop the file again."));
    request.onload = () => {
      if (request.status === 200) resolve(request.getResponseHeader("x-amz-version-id"));
      else reject(refusal(request.status, request.responseText));
    };
    request.send(file);
  });
}

/** The first `most` bytes of an object, and whether there are more. */
export async function beginning(bucket, key, most) {
  const headers = { Range: `bytes=0-${most - 1}` };
  let answer;
  try {
    answer = await send("s3", pathOf(bucket, key), { headers });
  } catch (error) {
    if (error.code === "InvalidRange") return { bytes: new Uint8Array(), more: false }; // it is empty
    throw error;
  }
  const whole = Number(answer.headers.get("Content-Range")?.split("/")[1] ?? answer.headers.get("Content-Length"));
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return { bytes, more: whole > bytes.length };
}

/** An object's bytes. */
export const whole = async (bucket, key) => new Uint8Array(await (await send("s3", pathOf(bucket, key))).arrayBuffer());

/** An object's JSON document. */
export const document = async (bucket, key) => (await send("s3", pathOf(bucket, key))).json();

/** A link that saves an object as a file: presigned, as S3 wants it of a browser. */
export async function link(bucket, key) {
  const now = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const day = now.slice(0, 8), scope = `${day}/${REGION}/s3/aws4_request`;
  const name = quoted(key.split("/").pop());
  const query = Object.entries({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": `test/${scope}`, "X-Amz-Date": now,
    "X-Amz-Expires": "86400", "X-Amz-SignedHeaders": "host",
    "response-content-disposition": `attachment; filename*=UTF-8''${name}`,
  }).map(([field, value]) => `${field}=${quoted(value)}`).join("&");
  const request = ["GET", pathOf(bucket, key), query, `host:${location.host}`, "", "host", "UNSIGNED-PAYLOAD"].join("\n");
  const text = ["AWS4-HMAC-SHA256", now, scope, hex(await crypto.subtle.digest("SHA-256", bytesOf(request)))].join("\n");
  let signature = bytesOf("AWS4test");
  for (const part of [day, REGION, "s3", "aws4_request", text]) signature = await hmac(signature, part);
  return `${pathOf(bucket, key)}?${query}&X-Amz-Signature=${hex(signature)}`;
}

const bytesOf = (text) => new TextEncoder().encode(text);
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function hmac(secret, text) {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", key, bytesOf(text));
}
