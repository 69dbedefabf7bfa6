"""A plain client of the test server: no patience, no retries, every answer as it came."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.graph.serving import Served


@dataclass(frozen=True)
class Answer:
    """Header names are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of Graph's error."""
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


class Asking:
    """One connection to a server. pause: seconds before every request, to keep to its limit."""

    def __init__(self, served: Served, pause: float = 0.0) -> None:
        self.served, self.pause = served, pause
        self._token = ""
        self._context = ssl.create_default_context(cafile=str(served.ca))
        self._connection: http.client.HTTPSConnection | None = None

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def send(self, method: str, url: str, body: str | None = None, **headers: str) -> Answer:
        """One request; what goes wrong with the connection is raised."""
        parts = urlsplit(url if url.startswith("https:") else self.served.url + url)
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                str(parts.hostname), parts.port, context=self._context, timeout=20
            )
        try:
            whole = f"{parts.path}?{parts.query}" if parts.query else parts.path
            self._connection.request(method, whole, body, headers)
            with self._connection.getresponse() as answer:
                named = {name.lower(): value for name, value in answer.getheaders()}
                return Answer(answer.status, named, answer.read())
        except BaseException:
            self.close()
            raise

    def sign_on(self, tenant: str | None = None, **form: str) -> Answer:
        """A token request, by the client secret where the form says nothing else."""
        served = self.served
        whole = {"grant_type": "client_credentials", "client_id": served.client_id, "scope": f"{served.url}/.default"}
        whole |= form or {"client_secret": served.secret}
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", f"/{tenant or served.tenant}/oauth2/v2.0/token", urlencode(whole), **kind)

    def token(self, renew: bool = False) -> str:
        if renew or not self._token:
            self._token = self.sign_on().json["access_token"]
        return self._token

    def get(self, url: str, prefer: bool = True, packed: bool = False) -> Answer:
        """A path with its query, or a nextLink, with the token."""
        token = self.token()
        time.sleep(self.pause)
        given = {"Authorization": f"Bearer {token}"}
        if prefer:
            given["Prefer"] = "include-unknown-enum-members"
        if packed:
            given["Accept-Encoding"] = "gzip"
        return self.send("GET", url.replace(" ", "%20"), **given)

    def all(self, url: str) -> list[dict[str, Any]]:
        """The records of all pages."""
        found: list[dict[str, Any]] = []
        link: str | None = url
        while link:
            page = self.get(link)
            assert page.status == 200, page.body
            found += page.json["value"]
            link = page.json.get("@odata.nextLink")
        return found
