"""From a question and its parameters to an answer: what `pfsquid query` does."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pfsquid.discovery.apps import SANCTIONED, UNSANCTIONED, Catalogue, load
from pfsquid.discovery.ask import (
    BEGINNING,
    END,
    PARAMETERS,
    Question,
    Result,
    counted_in_all,
    moment,
    question,
    questions,
    render,
    spans,
)
from pfsquid.discovery.duck import Knowledge, Session, session
from pfsquid.discovery.people import Rules
from pfsquid.errors import WrongUse
from pfsquid.lake.catalog import Lake
from pfsquid.lake.windows import coverage

# User names of people that match nobody when they were used, and all of them.
_NOBODIES = """
SELECT
  (
    SELECT count(DISTINCT principals.user_name)
    FROM principals
    JOIN usage ON usage.user_name = principals.user_name
      AND (valid_from IS NULL OR valid_from <= coalesce(first_use, CAST(day AS TIMESTAMPTZ)))
      AND (valid_to IS NULL OR valid_to > coalesce(first_use, CAST(day AS TIMESTAMPTZ)))
    WHERE reason <> ''
  ),
  (SELECT count(DISTINCT user_name) FROM principals SEMI JOIN usage USING (user_name) WHERE kind = 'person')
"""

SIGN_INS = ("interactive", "non_interactive", "service_principal", "managed_identity")
AUDITS = ("audits",)
_KIND = {"audits": "audits"}
_MOST_GAPS = 5  # told one by one


def knowledge(
    folders: Iterable[Path],
    realms: Mapping[str, tuple[str, ...]],
    services: Iterable[str],
    sanctioned: Iterable[str],
    unsanctioned: Iterable[str],
    sign_ins: Mapping[str, str],
) -> Knowledge:
    """What the catalogue and the configuration know. Raises WrongUse where the configuration names an unknown app."""
    catalogue = load(folders, sign_ins)
    tags = {}
    for tag, apps in ((SANCTIONED, sanctioned), (UNSANCTIONED, unsanctioned)):
        tags.update({app_named(name, _names(catalogue), f"apps.{tag}"): tag for name in apps})
    for name, app in sign_ins.items():
        app_named(app, _names(catalogue), f"apps.sign_ins.{name}")
    return Knowledge(catalogue, Rules(dict(realms), frozenset(services)), tags)


def list_questions() -> Result:
    """The questions that there are, with what they take."""
    rows: list[tuple[object, ...]] = [(one.name, one.title, " ".join(one.parameters)) for one in questions().values()]
    return Result(("question", "title", "parameters"), rows, "Questions: pfsquid query NAME [key=value …]")


def answer(lake: Lake, known: Knowledge, name: str, given: Iterable[str], now: datetime | None = None) -> Result:
    """Answer a question by name. given: `key=value` texts. Raises WrongUse, PfsquidError."""
    asked = question(name)
    values = values_of(asked, given)
    since, until = time_of(asked, values, now or datetime.now(UTC))
    with session(lake, known, since, until) as engine:
        app = app_named(values["app"], _names(engine.catalogue), "app") if "app" in values else None
        person = person_named(values["person"], engine.people) if "person" in values else None
        filled = {"since": since, "until": until, "app": app, "person": person, **spans(since, until)}
        return engine.run(
            render(asked.sql, filled, "duckdb"),
            asked.title,
            (*_notes(asked, engine, since, until), *gaps(lake, asked.sql, since, until)),
        )


def answer_sql(lake: Lake, known: Knowledge, sql: str) -> Result:
    """Answer SQL of one's own, in Athena's dialect or DuckDB's. Raises WrongUse, PfsquidError."""
    missing = gaps(lake, sql.lower(), BEGINNING, END)
    with session(lake, known) as engine:
        try:
            text = render(sql, {}, "duckdb")
        except WrongUse:
            return engine.run(
                sql, notes=missing
            )  # DuckDB's own dialect; if it is neither, its message is the better one
        return engine.run(text, notes=missing)


def values_of(asked: Question, given: Iterable[str]) -> dict[str, str]:
    """Texts `key=value` as what a question takes. Raises WrongUse."""
    values: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not value:
            raise WrongUse(f"{text!r} is no key=value", f"pfsquid query {asked.name} since=2026-11-01 app=dropbox")
        if key not in asked.parameters:
            close = difflib.get_close_matches(key, asked.parameters, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; it takes {', '.join(asked.parameters) or 'none'}"
            raise WrongUse(
                f"{asked.name} takes no {key!r}{hint}",
                *(f"{name}=…    # {PARAMETERS[name]}" for name in asked.parameters),
            )
        values[key] = value
    return values


def time_of(asked: Question, values: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """The time [since, until) that is asked about. Raises WrongUse."""
    since = moment(values["since"], False, now) if "since" in values else BEGINNING
    until = moment(values["until"], True, now) if "until" in values else END
    if since >= until:
        raise WrongUse(
            f"since={values.get('since', since)} is not before until={values.get('until', 'the end')}",
            f"pfsquid query {asked.name} since=7d",
        )
    return since, until


def domains_of(name: str, catalogue: Catalogue, where: str) -> tuple[str, ...]:
    """The domains of an app named by id or name. where: the key that names it. Raises WrongUse with the nearest."""
    return catalogue.apps[app_named(name, _names(catalogue), where)].domains


def _names(catalogue: Catalogue) -> dict[str, str]:
    return {app.id: app.name for app in catalogue.apps.values()}


def app_named(name: str, apps: Mapping[str, str], where: str) -> str:
    """The id of an app named by id or name. apps: names by id. Raises WrongUse with the nearest ones."""
    if name in apps:
        return name
    names = {called.casefold(): one for one, called in apps.items()}
    wanted = name.casefold()
    if wanted in apps or wanted in names:
        return wanted if wanted in apps else names[wanted]
    close = [names.get(one, one) for one in difflib.get_close_matches(wanted, [*names, *apps], 3)]
    hint = f"; did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
    raise WrongUse(
        f"{where}: there is no app {name!r} in the catalogue{hint}",
        'pfsquid query --sql "SELECT app_id, name FROM apps"',
    )


def person_named(name: str, people: Mapping[str, set[str]]) -> str:
    """The person_id of somebody named in any way. people: the names of each, casefolded. Raises WrongUse where nobody
    or several are meant."""
    wanted = name.casefold()
    if name in people:
        return name
    meant = sorted(person for person, names in people.items() if wanted in names)
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise WrongUse(f"{name!r} may be {' or '.join(meant)}", *(f"person={person}" for person in meant))
    close = difflib.get_close_matches(wanted, [one.casefold() for one in people], 3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise WrongUse(
        f"nobody in this time's log, in the sign-ins or in a directory is called {name!r}{hint}", "pfsquid query people"
    )


def gaps(lake: Lake, sql: str, since: datetime, until: datetime) -> tuple[str, ...]:
    """Which sign-ins of the asked time the lake does not have for certain."""
    streams = (*(SIGN_INS if "signins" in sql else ()), *(AUDITS if "audits" in sql else ()))
    if not streams:
        return ()
    found = coverage(lake, None, streams, since, until)
    told = [f"{_KIND.get(one.stream, 'sign-ins')} are not complete: {one}" for one in found.missing[:_MOST_GAPS]]
    if len(found.missing) > _MOST_GAPS:
        told.append(f"and {len(found.missing) - _MOST_GAPS} more gaps: pfsquid status")
    return tuple(told)


def _notes(asked: Question, engine: Session, since: datetime, until: datetime) -> tuple[str, ...]:
    """What a reader must know to take the answer rightly."""
    notes = []
    if "signins" in asked.sql and engine.run("SELECT 1 FROM signins LIMIT 1").rows == []:
        notes.append("the lake holds no sign-ins, so `never` says nothing: pfsquid collect entra --from signins.json")
    elif "signins" in asked.sql:
        first, last = engine.run("SELECT min(created_at), max(created_at) FROM signins").rows[0]
        span = f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
        notes.append(f"the lake holds sign-ins {span}; `never` means none of these")
    bytes_up, lines, requests = engine.run(render(counted_in_all(), spans(since, until), "duckdb")).rows[0]
    if not lines:
        notes.append("there is no access log in this time: pfsquid collect squid --from access.log")
    elif requests and bytes_up is None:
        notes.append("bytes_up is unknown: Squid's native format does not log it; pfsquid's own format does")
    if "JOIN people" in asked.sql or asked.name == "unmatched-people":
        nobodies, names = engine.run(_NOBODIES).rows[0]
        if nobodies:
            notes.append(f"{nobodies:,} of {names:,} user names of people match nobody: pfsquid query unmatched-people")
    unmatched = engine.run("SELECT user_name, reason FROM principals WHERE reason LIKE '%people.realms%' LIMIT 3").rows
    notes += [f"{user_name} is not matched: {reason}" for user_name, reason in unmatched]
    return tuple(notes)
