/** AWS on this machine, as its APIs have it: the page's own origin is the endpoint. */

// Those of local/deploy.py.
export const REGION = "eu-west-1", STACK = "straight-through";
const PATIENCE = 15_000; // milliseconds until an answer is given up

/** AWS refused a call; `code` is its error's name. */
export class AwsError extends Error {
  constructor(code, message) {
    super(message || code);
    this.code = code;
  }
}

/** Nobody answers at the endpoint. */
export class Unreachable extends Error {}

/** What tells the server which service is meant; it looks at nothing else of it. */
export const authorization = (service) =>
  `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`;

/** Send one request to a service; the answer is never an error. Raises AwsError, Unreachable. */
export async function send(service, path, { headers = {}, ...options } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      ...options,
      headers: { ...headers, Authorization: authorization(service) },
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  throw refusal(answer.status, text);
}

/** The error that a refusal's body, in JSON or XML, tells of. */
export function refusal(status, text) {
  try {
    const said = JSON.parse(text);
    const code = String(said.__type ?? said.Type ?? said.code ?? status).split("#").pop();
    return new AwsError(code, said.message ?? said.Message);
  } catch {
    const found = (tag) => text.match(new RegExp(`<${tag}>([^<]*)</${tag}>`))?.[1];
    return new AwsError(found("Code") ?? String(status), found("Message") ?? text.slice(0, 200));
  }
}

/** A call of a service that speaks JSON with X-Amz-Target. */
function speaker(service, prefix, version) {
  return async (operation, input) => {
    const headers = { "X-Amz-Target": `${prefix}.${operation}`, "Content-Type": `application/x-amz-json-${version}` };
    const answer = await send(service, "/", { method: "POST", headers, body: JSON.stringify(input) });
    return answer.json();
  };
}

export const states = speaker("states", "AWSStepFunctions", "1.0");
export const ssm = speaker("ssm", "AmazonSSM", "1.1");
export const secrets = speaker("secretsmanager", "secretsmanager", "1.1");
const logs = speaker("logs", "Logs_20140328", "1.1");
const dynamodb = speaker("dynamodb", "DynamoDB_20120810", "1.0");

/** A DynamoDB value as JSON has it. */
export function plain(value) {
  const [kind, content] = Object.entries(value)[0];
  if (kind === "M") return plainItem(content);
  if (kind === "L") return content.map(plain);
  if (kind === "N") return Number(content);
  return kind === "NULL" ? null : content;
}

const plainItem = (attributes) => Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, plain(value)]));

/** What the functions have logged with a text in it, since a moment in milliseconds, oldest first. */
export async function logged(text, startTime) {
  const found = [];
  let nextToken;
  do {
    const page = await logs("FilterLogEvents", { logGroupName: `/aws/lambda/${STACK}`, filterPattern: `"${text}"`, startTime, nextToken });
    found.push(...page.events);
    nextToken = page.nextToken;
  } while (nextToken);
  return found;
}

/** The item of a key, or null. */
export async function item(table, pk, sk) {
  const found = await dynamodb("GetItem", { TableName: table, Key: { pk: { S: pk }, sk: { S: sk } }, ConsistentRead: true });
  return found.Item ? plainItem(found.Item) : null;
}

const AT_ONCE = 100; // keys of one BatchGetItem

/** The items of keys, those that there are, in any order. */
export async function itemsOf(table, keys) {
  const found = [];
  let left = keys.map(([pk, sk]) => ({ pk: { S: pk }, sk: { S: sk } }));
  while (left.length) {
    const answer = await dynamodb("BatchGetItem", { RequestItems: { [table]: { Keys: left.slice(0, AT_ONCE), ConsistentRead: true } } });
    found.push(...(answer.Responses?.[table] ?? []).map(plainItem));
    left = [...left.slice(AT_ONCE), ...(answer.UnprocessedKeys?.[table]?.Keys ?? [])];
  }
  return found;
}

/** All items of a partition, in their order. */
export async function items(table, pk) {
  const found = [];
  let start;
  do {
    const page = await dynamodb("Query", {
      TableName: table, ConsistentRead: true, ExclusiveStartKey: start,
      KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: { ":pk": { S: pk } },
    });
    found.push(...page.Items.map(plainItem));
    start = page.LastEvaluatedKey;
  } while (start);
  return found;
}

/** Call a function of the stack and return its answer. Raises AwsError where it failed. */
export async function invoke(name, payload) {
  const path = `/2015-03-31/functions/${STACK}-${name}/invocations`;
  const answer = await send("lambda", path, { method: "POST", body: JSON.stringify(payload) });
  const said = await answer.json();
  if (answer.headers.has("X-Amz-Function-Error")) throw new AwsError(said.errorType ?? "FunctionError", said.errorMessage);
  return said;
}

/** The stack's outputs and parameters, by name; null while it is not complete. */
export async function readStack() {
  const body = new URLSearchParams({ Action: "DescribeStacks", StackName: STACK, Version: "2010-05-15" });
  let text;
  try {
    text = await (await send("cloudformation", "/", { method: "POST", body })).text();
  } catch (error) {
    if (error.code === "ValidationError") return null; // not made yet
    throw error;
  }
  // Without innerHTML and its like, XML is read as what it is: flat pairs of tags.
  const unescaped = (said) => said.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&apos;|&#39;/g, "'").replace(/&amp;/g, "&");
  const pairs = (what) => Object.fromEntries(
    [...text.matchAll(new RegExp(`<${what}Key>([^<]*)</${what}Key>\\s*<${what}Value>([^<]*)</${what}Value>`, "g"))]
      .map(([, key, value]) => [key, unescaped(value)]),
  );
  if (!/<StackStatus>(CREATE|UPDATE)_COMPLETE</.test(text)) return null;
  return { outputs: pairs("Output"), parameters: pairs("Parameter") };
}

/** The stack's routes, `{name: document}`; a document that is no JSON is null. */
export async function readRoutes(path) {
  const routes = {};
  let token;
  do {
    const page = await ssm("GetParametersByPath", { Path: path, Recursive: true, NextToken: token });
    for (const { Name, Value } of page.Parameters) {
      let document = null;
      try { document = JSON.parse(Value); } catch { /* stp routes check tells of it */ }
      routes[Name.slice(path.length + 1)] = document;
    }
    token = page.NextToken;
  } while (token);
  return routes;
}
