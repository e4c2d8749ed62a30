"""A stand-in for Quantemplate: the vendor's API on 127.0.0.1, and a control endpoint.

`with running(time_scale=0.01) as stand_in:` serves from a thread; `Control(url)` is the same
handle on a server in another process (`python -m local.quantemplate`).

The API is at <url>/external/v1, the token endpoint at
<url>/auth/realms/qt/protocol/openid-connect/token. The control endpoint takes and gives JSON,
to pages in a browser too if the server was told of their origin at its start:

POST   /control/reset                 seeds again; everything else is forgotten
GET    /control/settings              time_scale, token_seconds, clock_ahead, times, client_id,
                                      client_secret
PUT    /control/settings              {time_scale, token_seconds, clock_ahead: seconds, times:
                                      utc|no_zone|milliseconds|zone_name|unreadable}
PUT    /control/credentials           {client_id, client_secret}: rotate; tokens stay good
POST   /control/tokens/expire         every token so far expires now
GET    /control/datasets              by id: shared, shared_with_all, versions [{version, sha256,
                                      bytes}]
PUT    /control/datasets/<id>         {shared, shared_with_all}
POST   /control/datasets/<id>/update  {content}: somebody else updates it; its data stay without
GET    /control/pipelines             by id: the definition, and runs (execution objects)
PUT    /control/pipelines/<id>        {kind: claims|premiums|copy, datasets: [id], outputs: [name],
                                      seconds, jitter, shared, shared_with_all}; a copy takes any
                                      outputs
PUT    /control/pipelines/<id>/sharing {shared_with_all}
PUT    /control/pipelines/<id>/history {items: [anything]} or {count}: what its list begins with
POST   /control/runs                  {pipeline, plan…}: a run by somebody else
POST   /control/runs/<id>/cancel      {end_status: Cancelled|Canceled, keep_outputs}
POST   /control/runs/<id>/finish      {end_status, keep_outputs}: end it now
GET    /control/troubles              the orders that are not used up
POST   /control/troubles              an order, below
DELETE /control/troubles              behave again
GET    /control/events                how events are sent, counts: {taken, failed, lost, waiting},
                                      and the newest deliveries [{at, id, name, payload, became,
                                      status or error}]
PUT    /control/events                {url, envelope: long|short, late, scattered: seconds, twice,
                                      lost, strangers: shares}
POST   /control/events                {name, payload}: one event, true or not
GET    /control/journal?after=<seq>   [{seq, at, event, …}]

An order: {operation: token|upload_dataset|download_dataset|execute_pipeline|list_executions|
download_output, kind, id: a dataset or pipeline, times: 1 (null: until cleared), skip: 0,
when: before|after the side effect}. It is used up by calls that get past the token and id checks.

kind        fields, and what it does
reply       status, body, content_type, headers, retry_after, retry_after_date (seconds from now);
            or answer, the name of a known one (answers.py)
drop        after_bytes of the request's body: close the connection without a reply
delay       seconds before the side effect, or between it and the reply
html        200 with a sign-in page
redirect    302
trickle     bytes_per_second of the reply
short       missing: Content-Length promises so many bytes more than are sent
gzip        the reply is gzip-encoded whatever was asked for
slow_read   bytes_per_second of an upload
token_life  seconds: the life of the next token; null: it is not told
relabel     status, content_type, headers: the true reply's body under others
unsized     the reply has no length: it ends with the connection
endless     body: comes again and again after the reply's own
bomb        size: so many blanks, gzip-encoded
stall       after_bytes of the reply nothing more comes, for seconds (0: for ever)
reset       after_bytes of the reply the connection is reset
echo        status, with a page that shows the request, its secrets included
older       missing: the list lacks so many of the newest runs
run         run: the plan of the run that Execute makes

A plan: seconds, never_ends, end_status and running_status (null: the field is absent),
keep_outputs, outputs_before (absent|empty), hidden_seconds, hidden_calls (missing from the list),
duplicate, started_ahead (seconds that startedAt is too late; null: it is absent). Only a run's
seconds and hidden_seconds are scaled: clients measure all else by their own clock.

Events are sent to `url`, the organisation's subscription ("": there is none), where an execution of
a pipeline ends (PipelineCompleted) and where a dataset is updated (DatasetUpdated), if it is shared
with all. `long` has eventId and eventName, `short` id and name. Each is tried once, after `late`
seconds and up to `scattered` more, so that they come out of order; a share comes twice, is lost, or
comes with one of a `stranger`: about a run or a dataset that nobody here has made.

The journal's events: token_issued tokens_expired credentials_rotated upload_started
upload_finished upload_aborted dataset_downloaded execute_requested duplicated run_started
run_ended executions_listed output_downloaded trouble refused event_sent
dataset_updated_by_somebody_else violation. A violation's kind is
upload_during_run, run_during_upload, two_uploads or two_runs.
"""

from local.quantemplate.client import Control, running

__all__ = ["Control", "running"]
