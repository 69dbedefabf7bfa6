"""Start a server with its options: the one place where its parts are put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.graph.clock import Clock
from tests.graph.control import Control
from tests.graph.faults import Faults
from tests.graph.login import Login, Registered
from tests.graph.names import guid
from tests.graph.paging import Places
from tests.graph.server import Server
from tests.graph.site import Site
from tests.graph.throttle import Throttle
from tests.graph.world import Size, World

PERMISSIONS = ("AuditLog.Read.All", "Directory.Read.All", "User.Read.All", "Application.Read.All")
DOMAIN = "contoso.onmicrosoft.example"


@dataclass(frozen=True)
class Served:
    """A server that runs. url: of Graph (https://localhost:PORT); authority: of its tenant, as MSAL wants it."""

    url: str
    authority: str
    ca: Path
    tenant: str
    client_id: str
    secret: str
    control: Control

    def settings(self, secret: str) -> dict[str, object]:
        """What a configuration says of this tenant. secret: the reference to its secret."""
        return {
            "tenant": self.tenant,
            "client_id": self.client_id,
            "secret": secret,
            "authority": self.authority,
            "graph": self.url,
            "ca": str(self.ca),
        }


@dataclass(frozen=True)
class Options:
    """What a server is like; Size says how much it has. Seconds are real ones, but for start (since 1970, UTC).

    keep: days of retention (None: 7 without a premium licence, else 30).
    limit requests in per seconds. lifetime: of a token as it is said; lives: as it is.
    link_life, link_uses, link_rows: seconds, answers and records after which a nextLink is dead.
    passed: seconds of the server's time that have passed since `start`.
    """

    start: float | None = None
    speed: float = 1.0
    keep: float | None = None
    licence: str = "P2"
    limit: int = 5
    per: float = 10.0
    failing: float = 0.0
    silence: float = 2.0
    retry_after: float = 1.0
    lifetime: float = 3599.0
    lives: float | None = None
    link_life: float = 3600.0
    link_uses: int | None = None
    link_rows: int | None = None
    latency: float = 0.0
    port: int = 0
    passed: float = 0.0


def build(size: Size, options: Options, certificate: tuple[Path, Path, Path]) -> tuple[Server, Served]:
    """A server that is not started yet. certificate: as certificate.make gives it."""
    ca, own, key = certificate
    server = Server(own, key, options.port)
    tenant, client_id = guid(size.seed, "tenant"), guid(size.seed, "client")
    secret = f"s3c~{guid(size.seed, 'secret')}"
    keep = options.keep or (7.0 if options.licence == "Free" else 30.0)
    clock = Clock(options.start, options.speed)
    clock.advance(options.passed)
    login = Login(server.url, (tenant, DOMAIN), size.seed, options.lifetime, options.lives)
    login.apps[client_id] = Registered(client_id, {secret}, {f"old~{secret}"}, permissions=set(PERMISSIONS))
    site = Site(
        server.url,
        clock,
        World(size, clock, tenant, keep, options.licence),
        login,
        Throttle(options.limit, options.per),
        Faults(size.seed, options.failing, options.silence, options.retry_after),
        Places(size.seed, options.link_life, options.link_uses, options.link_rows),
        latency=options.latency,
    )
    server.control = Control(site)
    served = Served(server.url, f"{server.url}/{tenant}", ca, tenant, client_id, secret, server.control)
    return server, served
