"""Access-log lines put together from ready-made pieces, tens of thousands at a time.

Each column of a line is a pool of byte strings, made once, and an index drawn per line: a chunk of lines is
then one `join`. It draws and renders; it opens no file and knows no command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from bench import people
from bench.people import Random

Ints = np.ndarray[Any, np.dtype[np.int64]]
Grid = np.ndarray[Any, np.dtype[np.object_]]

# Columns of a line, in order: Squid's native format, and pfsquid's own, which is on one line
#   %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt
#   %ts.%03tu %tr %>a %>p %>eui %#un %Ss/%03>Hs %>st %<st %rm %Sh/%<a
#       %#mt %#{Referer}>h %#{User-Agent}>h - %ru
# A space follows each column and a newline the last one, except as AFTER says.
FORMATS = {
    "squid": "second milli elapsed client action down verb scheme host tail user server mime",
    "pfsquid": "second milli elapsed client port mac user action up down verb server mime referrer agent "
    "scheme host tail",
    "combined": "client user clock verb scheme host tail status down referrer agent result",
}
AFTER = {"second": ".", "agent": " - ", "scheme": "", "host": ""}
# Squid's combined: %>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh
COMBINED_AFTER = {
    "client": " - ", "clock": "", "scheme": "", "host": "", "tail": ' HTTP/1.1" ', "down": ' "', "referrer": '" "',
    "agent": '" ', "result": "\n",
}  # fmt: skip


class Shape(NamedTuple):
    """One kind of request. `size` picks the sizes and times: 0 a refusal, 1 a web object, 2 a tunnel."""

    share: float
    action: str
    verb: str
    size: int
    named: bool  # the user is known
    forwarded: bool  # a server was asked
    mime: str  # "" stands for any


SHAPES = (
    Shape(0.600, "TCP_TUNNEL/200", "CONNECT", 2, True, True, "-"),
    Shape(0.163, "TCP_MISS/200", "GET", 1, True, True, ""),
    Shape(0.030, "TCP_HIT/200", "GET", 1, True, False, ""),
    Shape(0.030, "TCP_REFRESH_UNMODIFIED/304", "GET", 1, True, True, ""),
    Shape(0.020, "TCP_MISS/302", "GET", 1, True, True, "text/html"),
    Shape(0.015, "TCP_MISS/404", "GET", 1, True, True, "text/html"),
    Shape(0.040, "TCP_MISS/200", "POST", 1, True, True, "application/json"),
    Shape(0.010, "TCP_MISS/204", "POST", 1, True, True, "-"),
    Shape(0.055, "TCP_DENIED/407", "CONNECT", 0, False, False, "text/html"),
    Shape(0.010, "TCP_DENIED/407", "GET", 0, False, False, "text/html"),
    Shape(0.020, "TCP_DENIED/403", "CONNECT", 0, True, False, "text/html"),
    Shape(0.003, "TCP_MISS_ABORTED/000", "GET", 0, True, True, "-"),
    Shape(0.003, "TCP_TUNNEL/503", "CONNECT", 0, True, True, "-"),
    Shape(0.001, "NONE_NONE/000", "-", 0, False, False, "-"),  # the client connected and sent nothing
)
NOTHING_SENT = len(SHAPES) - 1
MACHINE_SHARE = 0.01
MIMES = (
    "text/html",
    "application/json",
    "image/png",
    "image/jpeg",
    "text/css",
    "application/javascript",
    "font/woff2",
    "application/octet-stream",
    "video/mp4",
)
BROWSERS = 4  # so many of the user agents, from the first, are browsers
SIZES = 10_000  # different values of each size
PATHS = 30_000
REFERRERS = 2_000
UNSAFE = frozenset(" <>\"#%{}|\\^~[]`'")


def escaped(text: str) -> str:
    """As Squid's `#` modifier writes it (rfc1738_escape): unsafe and non-printing characters as %XX."""
    return "".join(c if 32 < ord(c) < 127 and c not in UNSAFE else f"%{ord(c):02X}" for c in text)


def _clocks(first: int, last: int) -> Grid:
    """`[02/Mar/2026:08:00:00 +0000] "` of each second."""
    moments = (datetime.fromtimestamp(second, UTC) for second in range(first, last + 1))
    return np.array([moment.strftime('[%d/%b/%Y:%H:%M:%S +0000] "').encode() for moment in moments], dtype=object)


class Traffic:
    """Draws lines of one format. `hosts_seen[i]` tells whether host number i has been visited."""

    def __init__(self, log_format: str, seed: int, domains: Sequence[str]) -> None:
        random = np.random.default_rng([seed, 0])
        self.seed = seed
        self.after = COMBINED_AFTER if log_format == "combined" else AFTER
        self.names = FORMATS[log_format].split()
        self.host_weights = people.zipf(people.HOSTS)
        self.user_weights = people.zipf(people.USERS, flatten=200)
        self.shape_weights = np.cumsum([shape.share for shape in SHAPES])
        self.hosts_seen = np.zeros(people.HOSTS + 1, dtype=np.bool_)
        texts = self._texts(random, list(domains), log_format)
        self.pools = {
            name: np.array([(text + self._after(name)).encode() for text in texts[name]], dtype=object)
            for name in self.names
            if name not in ("second", "clock")
        }

    def _after(self, column: str) -> str:
        return "\n" if column == self.names[-1] else self.after.get(column, " ")

    @staticmethod
    def _texts(random: Random, domains: list[str], log_format: str) -> dict[str, list[str]]:
        padded, written = log_format == "squid", str if log_format == "combined" else escaped
        hosts = people.host_names(random, domains)
        # Mean and spread of the logarithm: of a refusal, a web object, a tunnel. Milliseconds and bytes.
        laws = {
            "elapsed": ((0.5, 0.7), (4.4, 1.2), (8.5, 1.8)),
            "down": ((8.3, 0.1), (8.7, 1.8), (8.9, 1.6)),
            "up": ((5.8, 0.3), (6.5, 0.6), (7.3, 1.2)),
        }
        sizes = {
            name: [int(n) for law in by_size for n in random.lognormal(*law, SIZES).tolist()]
            for name, by_size in laws.items()
        }
        scheme = {"CONNECT": "", "-": "error:transaction-end-before-headers"}
        addresses = [f"10.{20 + n // 1000}.{n // 250 % 250}.{2 + n % 250}" for n in range(people.USERS)]
        servers = people.server_addresses(random, len(hosts))
        return {
            "milli": [f"{n:03d}" for n in range(1000)],
            "elapsed": [f"{n:6d}" if padded else str(n) for n in sizes["elapsed"]],
            "down": [str(n) for n in sizes["down"]],
            "up": [str(n) for n in sizes["up"]],
            "client": addresses,
            "port": [str(n) for n in range(49_152, 65_536)],
            "mac": [f"00:50:56:00:{n >> 8:02x}:{n & 255:02x}" for n in range(people.USERS)],
            "user": [*people.user_names(random), *people.machine_names(), "-"],
            "action": [shape.action for shape in SHAPES],
            "verb": [shape.verb for shape in SHAPES],
            "scheme": [scheme.get(shape.verb, "http://") for shape in SHAPES],
            "host": [*hosts, ""],
            "server": [*(f"HIER_DIRECT/{server}" for server in servers), "HIER_NONE/-"],
            "tail": [*people.paths(random, PATHS), ":443", ""],
            "mime": [*MIMES, "-"],
            "referrer": [*(written(f"http://{hosts[n % 5000]}/") for n in range(REFERRERS)), "-"],
            "agent": [*(written(agent) for agent in people.WORDS["agents"]), "-"],
            "status": [shape.action.partition("/")[2] for shape in SHAPES],
            "result": [
                f"{shape.action.partition('/')[0]}:{'HIER_DIRECT' if shape.forwarded else 'HIER_NONE'}"
                for shape in SHAPES
            ],
        }

    def lines(self, chunk: int, instants: Ints) -> tuple[Grid, Random]:
        """Pieces, a row for each of `instants` (ms since 1970, rising), and the chunk's random numbers.

        A chunk depends on its number and on the seed only, never on the chunks before it.
        """
        random = np.random.default_rng([self.seed, 1, chunk])
        indexes = self._draw(random, len(instants))
        indexes["milli"] = instants % 1000
        seconds = instants // 1000
        first = int(seconds[0])
        grid = np.empty((len(instants), len(self.names)), dtype=object)
        for column, name in enumerate(self.names):
            if name == "second":
                texts = np.array([b"%d." % s for s in range(first, int(seconds[-1]) + 1)], dtype=object)
                grid[:, column] = texts[seconds - first]
            elif name == "clock":
                grid[:, column] = _clocks(first, int(seconds[-1]))[seconds - first]
            else:
                grid[:, column] = self.pools[name][indexes[name]]
        return grid, random

    def _draw(self, random: Random, count: int) -> dict[str, Ints]:
        def pick(weights: np.ndarray[Any, np.dtype[np.float64]]) -> Ints:
            found = np.searchsorted(weights, random.random(count), side="right")
            return np.minimum(found, len(weights) - 1)

        def fact(values: Sequence[int | bool]) -> Ints:
            return np.array(values, dtype=np.int64)[shape]

        def any_of(number: int) -> Ints:
            return random.integers(0, number, count)

        shape, user, host = pick(self.shape_weights), pick(self.user_weights), pick(self.host_weights)
        size = fact([s.size for s in SHAPES]) * SIZES
        host = np.where(shape == NOTHING_SENT, people.HOSTS, host)
        self.hosts_seen[host] = True
        is_machine = random.random(count) < MACHINE_SHARE
        agents = len(people.WORDS["agents"])
        agent = np.where(random.random(count) < 0.9, user % BROWSERS, any_of(agents))
        path = np.where(shape == NOTHING_SENT, PATHS + 1, any_of(PATHS))
        mime = fact([MIMES.index(s.mime) if s.mime in MIMES else len(MIMES) for s in SHAPES])
        referrer = np.where(random.random(count) < 0.6, any_of(REFERRERS), REFERRERS)
        is_named = fact([s.named for s in SHAPES]) == 1
        is_tunnel = fact([s.verb == "CONNECT" for s in SHAPES]) == 1
        return {
            "shape": shape,
            "elapsed": size + any_of(SIZES),
            "down": size + any_of(SIZES),
            "up": size + any_of(SIZES),
            "client": user,
            "port": any_of(65_536 - 49_152),
            "mac": user,
            "user": np.where(is_named, user + people.USERS * is_machine, 2 * people.USERS),
            "action": shape,
            "verb": shape,
            "status": shape,
            "result": shape,
            "scheme": shape,
            "host": host,
            "server": np.where(fact([s.forwarded for s in SHAPES]) == 1, host, people.HOSTS),
            "tail": np.where(is_tunnel, PATHS, path),
            "mime": np.where(fact([s.mime == "" for s in SHAPES]) == 1, any_of(len(MIMES)), mime),
            "referrer": np.where(is_tunnel | (shape == NOTHING_SENT), REFERRERS, referrer),
            "agent": np.where(shape == NOTHING_SENT, agents, agent),
        }
