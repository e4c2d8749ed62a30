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

/** What it means to stop a run in a state. */
export const STOPPING = {
  CheckFile: "nothing was uploaded.",
  WaitForReplacement: "nothing was uploaded.",
  TakeTurn: "it leaves the queue; nothing was uploaded.",
  UploadAndExecute: "an upload that is under way goes on to its end; the next file waits for that.",
  WaitForPipeline: "the execution goes on in Quantemplate; the next file waits for its end.",
  CheckStatus: "the execution goes on in Quantemplate; the next file waits for its end.",
  DownloadOutputs: "the outputs that are whole stay.",
  PublishRun: "what is exported and chained stays.",
};
