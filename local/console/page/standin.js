/** The stand-in for Quantemplate, and its switches: they are at its own port. */

import { secrets } from "./aws.js";

const LOOPBACK = /^http:\/\/127\.0\.0\.1:\d+\/external\/v1$/;
const PATIENCE = 5000; // milliseconds

/** The stand-in, where the stack uses one. */
export class StandIn {
  constructor(apiUrl, secretArn) {
    Object.assign(this, { apiUrl, secretArn, base: LOOPBACK.test(apiUrl) ? new URL(apiUrl).origin : "", state: null, problem: "" });
    if (!this.base) this.problem = `The stack uses the server at ${apiUrl}. The switches belong to the stand-in, which make up starts where no other server is set.`;
  }

  /** Send an order and return the answer. */
  async order(method, path, content) {
    const body = content === undefined ? {} : { body: JSON.stringify(content), headers: { "Content-Type": "application/json" } };
    const answer = await fetch(`${this.base}/control${path}`, { method, ...body, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error ?? `the stand-in answered ${answer.status}`);
    return said;
  }

  /** Read how it is set. */
  async refresh() {
    if (!this.base) return;
    try {
      const [troubles, settings, datasets, pipelines, events, secret] = await Promise.all([
        this.order("GET", "/troubles"), this.order("GET", "/settings"), this.order("GET", "/datasets"),
        this.order("GET", "/pipelines"), this.order("GET", "/events"), secrets("GetSecretValue", { SecretId: this.secretArn }),
      ]);
      const theirs = JSON.parse(secret.SecretString);
      const rejects = theirs.client_id !== settings.client_id || theirs.client_secret !== settings.client_secret;
      this.state = { troubles, datasets, pipelines, events, rejects };
      this.problem = "";
    } catch (error) {
      this.problem = `The server at ${this.base} does not answer as the stand-in does (${error.message}). The switches belong to the stand-in, which make up starts where no other server is set.`;
    }
  }

  /** Misbehave: an order as local/quantemplate describes them. */
  trouble(order) {
    return this.order("POST", "/troubles", order);
  }

  /** Behave again. */
  async clear() {
    await this.order("DELETE", "/troubles");
    if (this.state?.rejects) await this.credentials(true);
    for (const [id, dataset] of Object.entries(this.state?.datasets ?? {})) if (!dataset.shared || !dataset.shared_with_all) await this.share(id, { shared: true, shared_with_all: true });
    for (const [id, pipeline] of Object.entries(this.state?.pipelines ?? {})) if (!pipeline.shared_with_all) await this.tellOf(id, true);
    await this.events({ envelope: "long", late: 0, scattered: 0, twice: 0, lost: 0, strangers: 0 });
  }

  /** Accept the stack's credentials, or reject them from the next call on. */
  async credentials(accepted) {
    const stack = JSON.parse((await secrets("GetSecretValue", { SecretId: this.secretArn })).SecretString);
    await this.order("PUT", "/credentials", accepted ? stack : { client_secret: crypto.randomUUID() });
    await this.order("POST", "/tokens/expire");
  }

  /** Let the API user edit a dataset (`shared`) and all see it (`shared_with_all`), or not. */
  share(dataset, sharing) {
    const before = this.state?.datasets[dataset];
    return this.order("PUT", `/datasets/${encodeURIComponent(dataset)}`, { shared: before?.shared ?? true, shared_with_all: before?.shared_with_all ?? true, ...sharing });
  }

  /** Send events of a pipeline, since all see it, or none. */
  tellOf(pipeline, all) {
    return this.order("PUT", `/pipelines/${encodeURIComponent(pipeline)}/sharing`, { shared_with_all: all });
  }

  /** Update a dataset as somebody else does. */
  update(dataset) {
    return this.order("POST", `/datasets/${encodeURIComponent(dataset)}/update`);
  }

  /** Change how events are sent. */
  events(changed) {
    return this.order("PUT", "/events", changed);
  }
}
