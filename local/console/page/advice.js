/** What a person does next. */

import { REMEDIES } from "./remedies.js"; // local/console/served.py makes it

/** What a person does next about a run that has ended badly. */
export function adviceFor(run) {
  if (run.status === "Stopped") return "Somebody stopped it. Redrive lets it go on where it was.";
  if (run.status === "Timed out") return "Look in the steps below where it stood, then Redrive.";
  return REMEDIES[run.error] ?? REMEDIES[""];
}

/** Errors that a switch of the stand-in makes until it is put right. */
export const SWITCHED = ["CredentialsRejected", "AccessDenied"];
