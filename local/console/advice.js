/** What to do about an error, in this console's words; the names are those of layers/straight_through/errors.py. */

const DROP_AGAIN = "Mend the file and drop it again. This run cannot be mended.";
const ROUTE = "Mend the route (stp routes apply), then Redrive.";
const BACK = "Wait until it answers again, then Redrive.";

export const ADVICE = {
  NoRoute: "Add a route for the folder (stp routes apply), then Redrive.",
  RouteInvalid: ROUTE,
  RouteConflict: "Give both routes one queue, or other ids (stp routes apply), then Redrive.",
  WrongFormat: "Drop the file again under a name that fits what it is.",
  HeaderMismatch: "Drop a mended file; or mend the route's header (stp routes apply), then Redrive.",
  OutputMissing: ROUTE,
  DestinationClash: "Let the route's destination hold {output}, then Redrive.",
  DestinationFailed: "Allow the destinations that the message names, or mend the route, then Redrive: only the copies that failed are made.",
  ChainCycle: "Take a link out of one of the routes that the message names, then Redrive.",
  ReleaseRefused: "Nothing: look at the run that it names.",
  EmptyFile: "The file has no bytes. Drop it again.",
  SourceNotFound: "The file or its version is gone from the inbox. Drop it again.",
  InputInvalid: "The input names no file. Drop a file instead.",
  CredentialsMissing: "Put the client id and secret into the stack's secret, then Redrive.",
  CredentialsRejected: "Put the credentials right (with the stand-in: under Switches), then Redrive. That resumes the queue too.",
  AccessDenied: "Let the API user edit dataset and pipeline (with the stand-in: under Switches), then Redrive. That resumes the queue too.",
  NotFound: "Quantemplate does not know an id of the route. Mend the route, then Redrive.",
  OutboxDenied: "Let the function's role write to the outbox, then Redrive.",
  RequestRefused: "Check the stack's addresses of Quantemplate, and the file; then Redrive.",
  ExecuteUncertain: "Look in Quantemplate which run is this file's; if none is, Run again.",
  TransferTooSlow: "Redrive if it was slow for once; else the file is too large for a function's 15 minutes.",
  FunctionKilled: "Look at the function's log: it had too little memory or time. Then Redrive.",
  TurnOverdue: "See under Queues what holds the queue up, then Redrive.",
  PipelineFailed: "Look at the run in Quantemplate and mend what it names, then Redrive: the file is uploaded and executed anew.",
  PipelineCancelled: "Somebody cancelled the run in Quantemplate. Redrive uploads and executes the file anew.",
  PipelineOverdue: "Look at the run in Quantemplate, then Redrive to wait for as long again.",
  PipelineBusy: "Another run went on for too long. Redrive when it has ended.",
  ApiUnavailable: BACK,
  ApiThrottled: BACK,
  SourceUnavailable: BACK,
  AwsUnavailable: BACK,
  OutboxUnavailable: BACK,
  OutputIncomplete: "Redrive: only the outputs that are missing are fetched.",
  TurnLost: "Redrive: it asks for another turn.",
};

/** What a person does next about a run that has ended badly. */
export function adviceFor(run) {
  if (run.status === "Stopped") return "Somebody stopped it. Redrive lets it go on where it was.";
  if (run.status === "Timed out") return "Look in the steps below where it stood, then Redrive.";
  return ADVICE[run.error] ?? "Mend what the message names, then Redrive.";
}

/** What it means to stop a run in a state. */
export const STOPPING = {
  TakeTurn: "it leaves the queue; nothing was uploaded.",
  UploadAndExecute: "an upload that is under way goes on to its end; the next file waits for that.",
  WaitForPipeline: "the pipeline's run goes on in Quantemplate; the next file waits for its end.",
  CheckStatus: "the pipeline's run goes on in Quantemplate; the next file waits for its end.",
  DownloadOutputs: "the outputs that are whole stay.",
  PublishRun: "what is exported and chained stays.",
};
