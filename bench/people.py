"""Who browses and where to, for the generated log: names, domains, hosts, addresses, paths, user agents.

Everything follows from the generator's random numbers and from the app catalogue; nothing is read from a real
network. It knows no log format and writes no file: `pieces.py` renders what this module makes up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

USERS = 5_000
HOSTS = 200_500  # with Zipf weights, 5 M lines then visit about 192,000 of them
POPULAR = 240  # catalogue domains whose hosts come first
CATALOGUE_SHARE_OF_TAIL = 0.4  # of the other hosts
REALM = "LAB.EXAMPLE"

WORDS: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))

Random = np.random.Generator


def catalogue_domains(folder: Path) -> list[str]:
    """The domains that the app catalogue in `folder` (`*.yaml`) names; a built-in list without one.

    Only the keys `domain`, `domains`, `host` and `hosts` are read, at any depth, so that the catalogue may
    change its shape without the benchmark changing.
    """
    found: dict[str, None] = {}
    for file in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            found.update(dict.fromkeys(_domains_in(document)))
    return list(found) or WORDS["domains"]


def _domains_in(node: Any) -> list[str]:
    if isinstance(node, list):
        return [domain for item in node for domain in _domains_in(item)]
    if not isinstance(node, dict):
        return []
    found: list[str] = []
    for key, value in node.items():
        if key in {"domain", "domains", "host", "hosts"}:
            values = value if isinstance(value, list) else [value]
            found += [v.lstrip("*.") for v in values if isinstance(v, str) and v.isascii() and "." in v]
        found += _domains_in(value)
    return found


def user_names(random: Random) -> list[str]:
    """`first.last@REALM`, USERS of them, the order drawn."""
    first, last = WORDS["first_names"], WORDS["last_names"]
    pairs = random.permutation(len(first) * len(last))[:USERS].tolist()
    return [f"{first[pair // len(last)]}.{last[pair % len(last)]}@{REALM}" for pair in pairs]


def machine_names() -> list[str]:
    """The computer account of each user's workstation."""
    return [f"WS-{number:04d}$@{REALM}" for number in range(USERS)]


def host_names(random: Random, domains: list[str]) -> list[str]:
    """HOSTS distinct host names, most visited first.

    The head is hosts of some catalogue domains; the tail mixes rare hosts of any catalogue domain with
    domains that no catalogue knows. With Zipf weights (`zipf`) some three quarters of all requests go to
    catalogue domains.
    """
    subdomains, parts, top_levels = WORDS["subdomains"], WORDS["parts"], WORDS["top_levels"]
    domains = [domains[n] for n in random.permutation(len(domains)).tolist()]
    popular = domains[:POPULAR]
    names = dict.fromkeys([*popular, *(f"{sub}.{domain}" for sub in subdomains[:4] for domain in popular)])
    size = HOSTS + HOSTS // 8  # some names are drawn twice
    known = random.random(size) < CATALOGUE_SHARE_OF_TAIL
    of_domain = np.minimum(random.pareto(0.5, size), len(domains) - 1).astype(np.int64)
    words = random.integers(0, len(parts), (size, 2)).tolist()
    subdomain = random.integers(0, len(subdomains), size).tolist()
    number = random.integers(0, 100_000, size).tolist()
    for row, (is_known, domain) in enumerate(zip(known.tolist(), of_domain.tolist(), strict=True)):
        if len(names) >= HOSTS:
            break
        sub, tag = subdomains[subdomain[row]], number[row]
        first, second = words[row]
        if is_known:
            names[f"{sub}-{tag}.{domains[domain]}"] = None
        else:
            top_level = top_levels[tag % len(top_levels)]
            names[f"{sub}.{parts[first]}{parts[second]}{tag}.{top_level}"] = None
    return list(names)[:HOSTS]


def server_addresses(random: Random, count: int) -> list[str]:
    """An address for each host, one in twenty IPv6; all are from blocks for documentation and benchmarks."""

    def address(number: int) -> str:
        if number % 20 == 0:
            return f"2001:db8:{number >> 12:x}::{number & 0xFFF:x}"
        return f"198.{18 + (number >> 16) % 2}.{number >> 8 & 255}.{number & 255}"

    return [address(number) for number in random.integers(0, 2**24, count).tolist()]


def paths(random: Random, count: int) -> list[str]:
    """URL paths, two in five with a query; about 120 characters on the average, as on a real proxy."""
    found, names = [], WORDS["folders"]
    for depth, tag, with_query, length in zip(
        random.integers(1, 6, count).tolist(),
        random.integers(0, 2**31, count).tolist(),
        (random.random(count) < 0.4).tolist(),
        random.geometric(1 / 85, count).tolist(),
        strict=True,
    ):
        folders = "/".join(names[(tag >> 3 * level) % len(names)] for level in range(depth))
        path = f"/{folders}/{tag:08x}"
        query = f"?id={tag}&t={tag * 2654435761 % 2**64:016x}" + f"&s={tag:x}" * (length // 11)
        found.append(path + query[: 8 + length] if with_query else path + "/item" * (length // 12) + ".js")
    return found


def zipf(count: int, flatten: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cumulative Zipf weights of `count` ranks; with `flatten` as if so many ranks came before the first."""
    weights = 1.0 / np.arange(1 + flatten, count + 1 + flatten)
    return np.asarray(np.cumsum(weights / weights.sum()))
