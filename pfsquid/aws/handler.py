"""The collector of Entra ID in AWS Lambda: one run of all streams into the lake in S3, within the time that there is.

A run that fails raises, so that Lambda counts an error, tries again and puts the event among the dead letters; an
alarm rings by that, and by how old the newest complete window is. A backlog that outlasts the time is no failure: each
page is a commit, and the next run goes on. Nothing is swallowed, no secret is ever in the log or in an error.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pfsquid.aws.metrics import INTERRUPTED, Measures, log, measured, publish
from pfsquid.config import Config, lake_place
from pfsquid.entra import reached, run_once, sources_of
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.frugal import be_frugal
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.state import State
from pfsquid.lake.tidy import expire_snapshots
from pfsquid.place import Place
from pfsquid.secrets import content, is_reference

MARGIN = 45.0  # s before the end at which nothing new is begun: for what is under way, and to tell how it went
TENANT = "entra"  # what the tenant is called in logs
KEEP_SNAPSHOTS = timedelta(hours=1)
# Variables of the function, by the key of the configuration that each is.
VARIABLES = {
    "lake": "PFSQUID_LAKE",
    "database": "PFSQUID_DATABASE",
    "tenant": "PFSQUID_TENANT",
    "client_id": "PFSQUID_CLIENT_ID",
    "secret": "PFSQUID_SECRET",
    "certificate": "PFSQUID_CERTIFICATE",
    "streams": "PFSQUID_STREAMS",
    "cloud": "PFSQUID_CLOUD",
    "graph": "PFSQUID_GRAPH",
    "authority": "PFSQUID_AUTHORITY",
    "ca": "PFSQUID_CA",
}
SETTINGS = "PFSQUID_SETTINGS"  # JSON: what else `collect.entra` may say of a tenant, such as {"retention": "7d"}
_STACK = "look at the parameters of the stack: pfsquid aws status"


class CollectorFailed(Exception):  # noqa: N818 - reads as what it is
    """A run failed: what Lambda counts as an error. Its text says what failed and what to do."""


@dataclass(frozen=True)
class Run:
    """How a run went. error: of the whole of it, before any stream was read."""

    states: Sequence[State] = ()
    ended: bool = True
    error: PfsquidError | None = None

    def failure(self) -> str:
        """Why it is to be told as failed; '' where it is not: what passes by itself, and time that was too short, are
        none, as long as anything was read."""
        if self.error:
            return "; ".join((self.error.message, *self.error.next[:1]))
        failed = [one for one in self.states if one.error and one.error != INTERRUPTED]
        mend = [one for one in failed if one.mend]
        if not mend and any(one.last_data or not one.error for one in self.states):
            return ""
        told = mend or failed
        if not told:
            return "nothing at all could be read in the time that there was"
        return "\n".join(f"{one.name}: {one.error}" for one in told)


def handle(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
    """One run. context: of Lambda, which tells how much time is left. Returns what is worth knowing, for JSON.

    Raises CollectorFailed where anything failed that a person must mend, and where nothing at all could be read.
    """
    be_frugal()
    begun = time.monotonic()
    left = float(context.get_remaining_time_in_millis()) / 1000.0
    name = os.environ.get("PFSQUID_NAME") or "pfsquid"
    log("INFO", "run begins", request=getattr(context, "aws_request_id", ""), seconds=round(left))
    run, measures = _run(left, name)
    summary = {
        **measures.by_name(),
        "seconds": round(time.monotonic() - begun, 1),
        "memory_mb": _peak_mb(),
        "interrupted": sorted(one.name for one in run.states if one.error == INTERRUPTED),
    }
    for one in run.states:
        level = "INFO" if not one.error or one.error == INTERRUPTED else "ERROR" if one.mend else "WARNING"
        log(level, one.error or "read", stream=one.name, rows=one.rows, rejects=one.rejects, rounds=one.rounds)
    failure = run.failure()
    log("ERROR" if failure else "INFO", failure or "run ends", **summary)
    if failure:
        raise CollectorFailed(failure)
    return summary


def settings_of(environment: Mapping[str, str]) -> Config:
    """What the variables of the function say, as a configuration. Raises WrongUse with all that is wrong in them."""
    given = {key: environment[name] for key, name in VARIABLES.items() if environment.get(name)}
    for key in ("lake", "tenant", "client_id"):
        if key not in given:
            raise WrongUse(f"the variable {VARIABLES[key]} is not set", _STACK)
    others = ("lake", "database", "streams")
    tenant: dict[str, Any] = {**_more(environment), **{key: text for key, text in given.items() if key not in others}}
    if streams := [one.strip() for one in given.get("streams", "").split(",") if one.strip()]:
        tenant["streams"] = streams
    whole = {
        "lake": given["lake"],
        "aws": {"database": given.get("database", "pfsquid"), "state": str(_folder())},
        "collect": {"entra": {TENANT: tenant}},
    }
    try:
        return Config.model_validate(whole)
    except ValidationError as exc:
        wrong = dict.fromkeys(_wrong(error) for error in exc.errors(include_input=False, include_url=False))
        raise WrongUse("; ".join(wrong), _STACK) from None


def _more(environment: Mapping[str, str]) -> dict[str, Any]:
    text = environment.get(SETTINGS) or "{}"
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise WrongUse(f"the variable {SETTINGS} is no JSON object", f'{SETTINGS}={{"retention": "7d"}}')
    return told


def _wrong(error: Any) -> str:
    keys = [str(one) for one in error["loc"] if str(one) not in ("collect", "entra", "aws")]
    text = error["msg"].removeprefix("Value error, ")
    where = VARIABLES.get(keys[0], f"{SETTINGS}: {'.'.join(keys)}") if keys else ""
    return f"{where}: {text}" if where else text


def _folder() -> Path:
    """Of this sandbox, gone with it: the limit's journal, what is known of slices, locks. To lose them costs time."""
    return Path(tempfile.gettempdir()) / "pfsquid"


def _run(left: float, name: str) -> tuple[Run, Measures]:
    """Read, care a little, measure. What fails is in the run, so that it is measured, too."""
    until = time.monotonic() + left
    run, config, lake = Run(), None, None
    place = Place(_folder())
    try:
        config = settings_of(os.environ)
        place = lake_place(None, config, os.environ)
        lake = open_lake(place, make=True)
        run = _collect(config, lake, until)
        if time.monotonic() < until - _margin(left) / 2:
            _tidy(lake)
    except PfsquidError as exc:
        run = Run(run.states, run.ended, exc)
    measures = _measure(config, lake, run)
    try:
        publish(place.cloud, name, measures, datetime.now(UTC))
    except Exception as exc:  # noqa: BLE001 - that it is missing rings an alarm of its own
        log("ERROR", f"CloudWatch took no metrics: {exc}")
    return run, measures


def _collect(config: Config, lake: Lake, until: float) -> Run:
    left = until - time.monotonic()
    stop = threading.Event()
    timer = threading.Timer(max(0.0, left - _margin(left)), stop.set)
    timer.daemon = True
    timer.start()
    try:
        sources = sources_of(_with_ca(config), Path("/"), lake.folder)
        states, ended = run_once(lake, sources, stop, lambda _: None, lambda _: "")
    finally:
        timer.cancel()
        stop.set()
    # A commit that is under way is let end: what is frozen within it would go on in the next run.
    names = {one.name for one in sources}
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(max(0.0, until - _margin(left) / 2 - time.monotonic()))
    return Run(states, ended)


def _margin(left: float) -> float:
    return min(MARGIN, left / 4)


def _with_ca(config: Config) -> Config:
    """The configuration with a CA that is a reference put into a file of this sandbox, which is what TLS takes."""
    settings = config.collect.entra[TENANT]
    if settings.ca is None or not is_reference(str(settings.ca)):
        return config
    path = _folder() / "ca.pem"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(content(str(settings.ca), Path("/")))
    entra = {TENANT: settings.model_copy(update={"ca": path})}
    return config.model_copy(update={"collect": config.collect.model_copy(update={"entra": entra})})


def _tidy(lake: Lake) -> None:
    """What keeps a table's metadata small; files are left to Glue's optimizers, or to a `pfsquid run` elsewhere."""
    try:
        expire_snapshots(lake, datetime.now(UTC) - KEEP_SNAPSHOTS)
    except Exception as exc:  # noqa: BLE001 - told; the next run does it
        log("WARNING", f"earlier states of tables were not expired: {exc}")


def _measure(config: Config | None, lake: Lake | None, run: Run) -> Measures:
    failures = 1 if run.error else 0
    if config is None or lake is None:
        return Measures(None, failures=failures)
    now = time.time()
    rules = config.collect.entra[TENANT].rules()
    try:
        found = measured(reached(lake, config, now), run.states, rules, now)
    except Exception as exc:  # noqa: BLE001 - it is told by the run's own error, or missing, which rings as well
        log("ERROR", f"the lake does not say how far it is: {exc}")
        return Measures(None, sum(one.rows for one in run.states), max(1, failures))
    return Measures(found.stale, found.rows, found.failures + failures, found.gaps)


def _peak_mb() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
