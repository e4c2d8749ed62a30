"""Whole replies that servers, proxies and firewalls are known to give, by name."""

from __future__ import annotations

import json

from local.quantemplate.messages import Call, Reply

HTML = "text/html; charset=utf-8"
JSON = "application/json"


def _page(title: str, words: str) -> bytes:
    return f"<!doctype html><html><title>{title}</title><p>{words}</p></html>".encode()


def _refusal(status: int, error: str, description: str) -> Reply:
    body = json.dumps({"error": error, "error_description": description})
    return Reply(status, body.encode(), JSON)


SIGN_IN = Reply(200, _page("Sign in", "Please sign in."), HTML)
ANSWERS = {
    "sign_in": SIGN_IN,
    "maintenance": Reply(
        200, _page("Maintenance", "We are making things better. Back at noon."), HTML
    ),
    "maintenance_503": Reply(503, _page("Maintenance", "Back at noon."), HTML),
    "bad_gateway": Reply(502, _page("502 Bad Gateway", "nginx"), HTML),
    "firewall": Reply(
        403, _page("Request Rejected", "The requested URL was rejected. Incident 1138."), HTML
    ),
    "moved": Reply(302, headers={"Location": "/auth/realms/qt/login"}),
    "accepted": Reply(202, b'{"message": "queued"}', JSON),
    "empty": Reply(200),
    "error_json": Reply(200, b'{"status": 500, "error": "internal"}', JSON),
    "error_text": Reply(200, b"Error: the service is not available"),
    "nested": Reply(200, b"[" * 200_000, JSON),
    "busy": Reply(409, b'{"message": "the pipeline is running"}', JSON),
    # A token server's refusals, as Keycloak words them: services/…/oidc/grants and
    # services/…/services/resources/RealmsResource.java
    "invalid_client": _refusal(
        401, "invalid_client", "Invalid client or Invalid client credentials"
    ),
    "unauthorized_client": _refusal(
        401, "unauthorized_client", "Client not enabled to retrieve service account"
    ),
    "temporarily_disabled": _refusal(400, "invalid_grant", "Account temporarily disabled"),
    "realm_disabled": _refusal(403, "access_denied", "Realm not enabled"),
    "wrong_realm": Reply(404, b'{"error": "Realm does not exist"}', JSON),
    "wrong_realm_page": Reply(404, _page("Page not found", "We are sorry."), HTML),
}


def echo(call: Call, status: int) -> Reply:
    """A page that shows the request, as some servers do for those who look for a fault."""
    lines = [f"{call.method} {call.path}", *(f"{n}: {v}" for n, v in call.headers.items())]
    shown = "\n".join(lines).encode() + b"\n\n" + call.seen
    return Reply(status, b"<html><title>Error</title><pre>" + shown + b"</pre></html>", HTML)
