"""The token endpoint: a Keycloak realm's client-credentials grant."""

from __future__ import annotations

import secrets
import time
from urllib.parse import parse_qs

from local.quantemplate.journal import Journal
from local.quantemplate.messages import Call, Refused, Reply, json_reply

# Keycloak's replies: services/src/main/java/org/keycloak/protocol/oidc/endpoints/TokenEndpoint.java
FORM = "application/x-www-form-urlencoded"


class Tokens:
    """The client's credentials and the access tokens that are good at present."""

    def __init__(self, journal: Journal) -> None:
        self.client_id = "straight-through"
        self.client_secret = "local-secret"
        self.seconds = 300.0  # an access token's life
        self._journal = journal
        self._expiry: dict[str, float] = {}

    def issue(self, call: Call, seconds: float | None = None, *, told: bool = True) -> Reply:
        """Answer a token request; `seconds` is the new token's life, and whether it is `told`."""
        if call.headers.get("Content-Type", "").split(";")[0].strip() != FORM:
            raise _refused(415, "invalid_request", "HTTP 415 Unsupported Media Type")
        fields = {name: values[0] for name, values in parse_qs(call.body().decode()).items()}
        if "grant_type" not in fields:
            raise _refused(400, "invalid_request", "Missing form parameter: grant_type")
        if fields["grant_type"] != "client_credentials":
            raise _refused(400, "unsupported_grant_type", "Unsupported grant_type")
        given = (fields.get("client_id", ""), fields.get("client_secret", ""))
        with self._journal.lock:
            if given != (self.client_id, self.client_secret):
                raise _refused(
                    401, "invalid_client", "Invalid client or Invalid client credentials"
                )
            life = self.seconds if seconds is None else seconds
            token = secrets.token_urlsafe(48)
            self._expiry[token] = time.monotonic() + life
            self._journal.note("token_issued", expires_in=life)
        return json_reply(
            {
                "access_token": token,
                **({"expires_in": int(life)} if told else {}),
                "refresh_expires_in": 1800,
                "refresh_token": secrets.token_urlsafe(48),
                "token_type": "Bearer",
                "not-before-policy": 0,
                "scope": "profile email",
            },
            headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
        )

    def check(self, call: Call) -> None:
        """Refuse a call without a token that is good now."""
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        with self._journal.lock:
            expiry = self._expiry.get(token.strip()) if scheme.lower() == "bearer" else None
        if expiry is None:
            raise Refused(Reply(401, b"Unauthorized"), "no token, or an unknown one")
        if expiry <= time.monotonic():
            raise Refused(Reply(401, b"Unauthorized"), "the token has expired")

    def expire(self) -> None:
        """Make every token handed out so far expire now."""
        with self._journal.lock:
            self._expiry = dict.fromkeys(self._expiry, 0.0)
            self._journal.note("tokens_expired")


def _refused(status: int, error: str, description: str) -> Refused:
    content = {"error": error, "error_description": description}
    return Refused(json_reply(content, status), description)
