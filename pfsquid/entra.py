"""The streams of the configured tenants of Entra ID, ready to be followed: one source each, one limit for an app."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collectors.entra.clouds import CLOUDS
from collectors.entra.directory import service_principals, users
from collectors.entra.errors import GraphError, Kind
from collectors.entra.graph import Graph, Patience
from collectors.entra.limit import Limit, Stopped
from collectors.entra.streams import DIRECTORY_STREAMS, STREAMS, GraphStream
from collectors.entra.token import Tokens
from collectors.entra.windows import Ledger, Rules
from collectors.entra.wire import Timeout
from pfsquid.config import Config
from pfsquid.entra_app import path_of, tokens_of
from pfsquid.errors import WrongUse
from pfsquid.lake.accounts import note_read, read_before, refresh
from pfsquid.lake.catalog import Lake
from pfsquid.lake.graph import Reader
from pfsquid.lake.hints import FOLDER, Hints
from pfsquid.lake.ingest import Moved
from pfsquid.lake.kept import Kept
from pfsquid.lake.live import FIRST_PAUSE, LONGEST_PAUSE, Watch, told
from pfsquid.lake.slices import Stream
from pfsquid.lake.state import State
from pfsquid.lake.windows import Reached, ledgers, reach
from pfsquid.settings_entra import EntraSettings

# Long, since Graph may be silent for minutes, and asks to be left alone for longer: see State.flush.
_SIGN_OF_LIFE = 300.0
_TRIES = 5  # of a round that is read once
_FRESH = 60.0  # seconds; who reads once does not ask for less
_TICK = 2.0  # seconds between signs of life while nothing is done
_ACT_PAUSE = 600.0  # the longest pause after what only a person can mend
_ACT = frozenset({Kind.PERMISSION, Kind.LICENCE, Kind.CREDENTIAL, Kind.NOT_FOUND, Kind.BAD_REQUEST})
# What is not given is soon asked for in smaller slices: that helps more than asking again.
PATIENCE = Patience(attempts=4, silences=1)
_SPREAD = 4  # parts of a request's share of the limit: the shortest time between two
END_SECONDS = 4.0  # for what is under way when somebody asks to stop
CARE_SECONDS = 300.0
Look = Callable[[Mapping[str, State]], None]
_LISTINGS = {"users": users, "service_principals": service_principals}


@dataclass(frozen=True)
class Tenant:
    """A tenant of the configuration. settings: as configured; folder: where relative paths of it begin."""

    name: str
    settings: EntraSettings
    folder: Path
    tokens: Tokens
    limit: Limit

    def graph(self, stop: threading.Event | None = None) -> Graph:
        """A client. Raises GraphError where addresses are wrong."""
        settings = self.settings
        base = settings.graph or CLOUDS[settings.cloud].graph
        ca = path_of(settings.ca, self.folder)
        timeout = Timeout(read=settings.timeout, whole=max(300.0, settings.timeout))
        return Graph(self.tokens, base, self.limit, ca, timeout, PATIENCE, stop, settings.client_id)

    def rules(self) -> Rules:
        """How its streams are read."""
        one = self.settings
        return Rules(
            settle=round(one.settle),
            reread=tuple(max(1, round(age)) for age in one.reread),
            least=round(one.slice.least),
            most=round(one.slice.most),
            retention=round(one.retention),
        )


class _Alive(threading.Event):
    """A stop event that tells of each look at it: whoever waits for it is alive."""

    def __init__(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        super().__init__()
        self._of, self._beat = stop, beat

    def is_set(self) -> bool:
        self._beat()
        return self._of.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        until = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = _TICK if until is None else min(_TICK, until - time.monotonic())
            if left <= 0:
                return False
            self._of.wait(left)
        return True


@dataclass(frozen=True)
class EntraSource:
    """One stream of a tenant, as `service` follows it and `once` reads it."""

    name: str
    place: str
    tenant: Tenant
    asked: GraphStream

    def follow(self, lake: Lake, flush: float, stop: threading.Event, watch: Watch, state: State) -> None:  # noqa: ARG002
        """Rounds until `stop`; after a failure of any kind with growing pauses."""
        state.flush = _SIGN_OF_LIFE
        alive = _Alive(stop, lambda: watch(state))
        pause = FIRST_PAUSE
        with suppress(Stopped):
            while not alive.is_set():
                try:
                    self._round(lake, alive, state, self.tenant.settings.every)
                    state.error, state.failures, state.mend = "", 0, False
                    pause = FIRST_PAUSE
                    alive.wait(min(self.tenant.settings.every, 60.0) if self.asked.time_field else 60.0)
                except (Stopped, Moved):
                    alive.wait(0.05)
                except Exception as exc:  # noqa: BLE001 - told, and tried again; a fault of ours, too
                    if stop.is_set():
                        return
                    _failed(state, exc)
                    watch(state)
                    alive.wait(pause)
                    acts = isinstance(exc, GraphError) and exc.kind in _ACT
                    pause = min(pause * 2, _ACT_PAUSE if acts else LONGEST_PAUSE)

    def once(self, lake: Lake, stop: threading.Event, watch: Watch, state: State) -> None:
        """All that is to be read now. What went wrong stands in the state's `error`; what passes is tried again."""
        alive = _Alive(stop, lambda: watch(state))
        for number in range(_TRIES):
            try:
                self._round(lake, alive, state, min(self.tenant.settings.every, _FRESH))
                state.error, state.mend = "", False
                return
            except Stopped:
                state.error = state.last_error if number else "interrupted"
                return
            except Exception as exc:  # noqa: BLE001 - told
                _failed(state, exc)
                if not isinstance(exc, GraphError) or exc.kind in _ACT or alive.wait(2.0**number):
                    return

    def _round(self, lake: Lake, stop: threading.Event, state: State, fresh: float) -> None:
        tenant, settings = self.tenant, self.tenant.settings
        rules = settings.rules()
        hints = Hints.load(lake.folder, f"{settings.tenant}.{self.asked.name}", rules)
        if self.asked.time_field:
            stream = Stream(self.asked.table, settings.tenant, self.asked.name)
            graph = tenant.graph(stop)
            kept = Kept.load(lake.folder, f"{settings.tenant}.{self.asked.name}")
            reader = Reader(lake, stream, self.asked, graph, rules, settings.every, fresh, state, hints, kept)
            reader.round()
            return
        now = time.time()
        read_at = read_before(lake, "entra", settings.tenant, self.asked.table) if lake.remote else hints.read_at
        if read_at is not None and 0 <= now - read_at < settings.directory:
            state.caught_up = state.last_data = now
            return
        listed = _LISTINGS[self.asked.name](tenant.graph(stop), settings.tenant)
        counts = refresh(lake, "entra", settings.tenant, listed, datetime.now(UTC), table=self.asked.table)
        state.rows += counts.new + counts.changed
        state.rounds += 1
        state.caught_up = state.last_data = hints.read_at = now
        if lake.remote:  # whoever reads next may be on a machine that knows no hints of this one
            note_read(lake, "entra", settings.tenant, self.asked.table, now)
        hints.save()


def sources_of(config: Config, folder: Path, lake: Path, names: Sequence[str] = ()) -> tuple[EntraSource, ...]:
    """The streams of all tenants, or of those named. Raises WrongUse where a secret cannot be had."""
    return tuple(
        EntraSource(
            source_name(tenant.name, stream),
            f"Entra ID {tenant.settings.tenant}",
            tenant,
            STREAMS.get(stream) or DIRECTORY_STREAMS[stream],
        )
        for tenant in tenants_of(config, folder, lake, names)
        for stream in dict.fromkeys(tenant.settings.streams)
    )


def source_name(tenant: str, stream: str) -> str:
    """How a stream of a tenant is called in `status`, logs and metrics."""
    return f"{tenant}:{stream}"


def tenants_of(config: Config, folder: Path, lake: Path | None, names: Sequence[str] = ()) -> tuple[Tenant, ...]:
    """The tenants of the configuration, or those named; what is the same app shares its limit. Raises WrongUse.

    folder: where relative paths begin. lake: the folder of the lake; None where there is none yet.
    """
    every = config.collect.entra
    for name in names:
        if name not in every:
            raise WrongUse(
                f"collect.entra: there is no tenant {name!r}", f"one of: {', '.join(every) or 'none is configured'}"
            )
    limits: dict[tuple[str, str], Limit] = {}
    made = []
    for name, settings in every.items():
        if names and name not in names:
            continue
        app = (settings.tenant, settings.client_id)
        if app not in limits:
            # The journal lies beside the tables: whoever reads into this lake as this app keeps to the same limit.
            digest = hashlib.blake2b(" ".join(app).encode(), digest_size=8).hexdigest()
            journal = lake / FOLDER / f"limit-{digest}" if lake else None
            rate = settings.rate
            limits[app] = Limit(rate.requests, rate.per, journal, spread=rate.per / rate.requests / _SPREAD)
        made.append(Tenant(name, settings, folder, tokens_of(name, settings, folder), limits[app]))
    return tuple(made)


def run_once(
    lake: Lake, sources: Sequence[EntraSource], stop: threading.Event, look: Look, care: Callable[[Lake], str]
) -> tuple[list[State], bool]:
    """Read all sources side by side until all is read, or `stop`; did all end? look: told of all states now and then.

    care: of the lake, while that lasts; what goes wrong with it is left to the next.
    """
    states = {one.name: State(one.name, one.place, time.time()) for one in sources}
    done = threading.Event()
    threads = [
        threading.Thread(
            target=one.once, args=(lake, stop, lambda _: None, states[one.name]), name=one.name, daemon=True
        )
        for one in sources
    ]
    tidying = threading.Thread(target=_tend, args=(lake, care, done), name="care", daemon=True)
    for thread in (*threads, tidying):
        thread.start()
    for thread in threads:
        while thread.is_alive() and not stop.is_set():
            thread.join(0.25)
            look(states)
    done.set()
    until = time.monotonic() + END_SECONDS
    for thread in (*threads, tidying):
        thread.join(max(0.0, until - time.monotonic()) if stop.is_set() else None)
    return list(states.values()), not any(thread.is_alive() for thread in threads)


def _tend(lake: Lake, care: Callable[[Lake], str], done: threading.Event) -> None:
    while not done.wait(CARE_SECONDS):
        with suppress(Exception):
            care(lake)


def reached(lake: Lake, config: Config, now: float | None = None) -> list[Reached]:
    """How far each configured stream is read; those that are read as a whole are not among them."""
    moment = time.time() if now is None else now
    every = ledgers(lake)
    found = []
    for name, settings in config.collect.entra.items():
        for stream in dict.fromkeys(settings.streams):
            if stream in STREAMS:
                ledger = every.get((settings.tenant, stream), Ledger())
                found.append(
                    reach(source_name(name, stream), settings.tenant, stream, ledger, settings.rules(), moment)
                )
    return found


def _failed(state: State, exc: Exception) -> None:
    message = told(exc)
    if isinstance(exc, GraphError):
        message = "; ".join((exc.message, *exc.cures[:1]))
    state.error = state.last_error = message
    state.error_at, state.failures = time.time(), state.failures + 1
    state.mend = not isinstance(exc, GraphError) or exc.kind in _ACT
