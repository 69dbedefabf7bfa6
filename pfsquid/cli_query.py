"""`pfsquid query`: a question, or SQL of one's own, to DuckDB on this machine or to Athena. Words → calls."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import views
from pfsquid.cli_options import ConfigOption, DebugOption, FormatOption, JsonOption, LakeOption
from pfsquid.errors import WrongUse
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.config import Config
    from pfsquid.discovery.athena import Athena
    from pfsquid.discovery.athena_answer import Asked
    from pfsquid.discovery.meaning import Knowledge
    from pfsquid.lake.catalog import Lake
    from pfsquid.place import Place


class Engine(StrEnum):
    """Where a question is answered."""

    DUCKDB = "duckdb"
    ATHENA = "athena"


def query(
    name: Annotated[
        str | None, typer.Argument(help="A question; without one, the list of them.", show_default=False)
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Argument(help="key=value: since, until, app, person.", show_default=False)
    ] = None,
    sql: Annotated[
        str | None, typer.Option("--sql", help="A SELECT of your own, read only.", show_default=False)
    ] = None,
    engine: Annotated[Engine, typer.Option("--engine", help="Who answers; Athena takes a lake in S3.")] = Engine.DUCKDB,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", help="How long Athena may take: 90s, 10m (the default).", show_default=False),
    ] = None,
    print_sql: Annotated[bool, typer.Option("--print-sql", help="Print the SQL for Athena, and ask nobody.")] = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Ask the lake: apps, people, app-people, app-signins, unknown-domains, unmatched-people, or SQL of your own."""
    from pfsquid.discovery.answer import answer, answer_sql, list_questions

    screen, wanted = views.standard_screen(dict(os.environ)), Format.JSON if json else format
    if sql is not None and name:
        raise WrongUse("a question or --sql, not both", "pfsquid query apps", 'pfsquid query --sql "SELECT 1"')
    if timeout is not None and engine is not Engine.ATHENA:
        raise WrongUse("--timeout goes with --engine athena", "Ctrl-C stops a question to DuckDB")
    if sql is None and name is None:
        result = list_questions()
        views.show(screen, result.columns, result.rows, wanted, result.title, result.notes)
        return
    settings, place, opened = _opened(lake, config)
    known = knowledge_of(settings)
    if print_sql:
        views.tell(screen, _asked(opened, known, name, parameters, sql).sql)
    elif engine is Engine.ATHENA:
        from pfsquid.discovery.athena_answer import ask

        athena = _athena(settings, place, timeout, screen)
        streamed = ask(athena, _asked(opened, known, name, parameters, sql))
        views.show(screen, streamed.columns, streamed.rows, wanted, streamed.title, streamed.notes)
    else:
        result = (
            answer_sql(opened, known, sql) if sql is not None else answer(opened, known, str(name), parameters or [])
        )
        views.show(screen, result.columns, result.rows, wanted, result.title, result.notes)


def knowledge_of(settings: Config) -> Knowledge:
    """What the catalogue and the configuration know. Raises WrongUse."""
    from pfsquid.discovery.answer import knowledge
    from pfsquid.resources import configs

    people, apps = settings.people, settings.apps
    folders = (configs() / "apps", *apps.folders)
    return knowledge(folders, people.realms, people.services, apps.sanctioned, apps.unsanctioned, apps.sign_ins)


def _opened(lake: str | None, config: Path | None) -> tuple[Config, Place, Lake]:
    from pfsquid.config import find, lake_place, load
    from pfsquid.lake.catalog import open_lake

    settings = load(find(config, os.environ))
    place = lake_place(lake, settings, os.environ)
    return settings, place, open_lake(place, make=False)


def _asked(lake: Lake, known: Knowledge, name: str | None, given: list[str] | None, sql: str | None) -> Asked:
    from pfsquid.discovery.athena_answer import prepare, prepare_sql

    return prepare_sql(lake, known, sql) if sql is not None else prepare(lake, known, str(name), given or [])


def _athena(settings: Config, place: Place, timeout: str | None, screen: views.Screen) -> Athena:
    """Athena of the stack. Raises WrongUse where the lake is none of its."""
    from pydantic import TypeAdapter, ValidationError

    from pfsquid.discovery.athena import TIMEOUT, Athena
    from pfsquid.settings import Duration

    if not place.url:
        raise WrongUse(
            f"Athena reads a lake in S3; {place} is a folder",
            "lake: s3://BUCKET/PREFIX    # in the configuration, or --lake",
            "pfsquid aws deploy",
        )
    if place.catalog != "glue":
        raise WrongUse(
            f"Athena finds tables in Glue; the catalog of this lake is {place.catalog}",
            "aws: {catalog: glue}    # in the configuration",
            "the same without --engine athena",
        )
    try:
        seconds = TypeAdapter(Duration).validate_python(timeout) if timeout is not None else TIMEOUT
    except ValidationError:
        raise WrongUse(f"--timeout {timeout} is no length of time", "--timeout 90s", "--timeout 10m") from None
    return Athena(place.cloud, settings.aws.workgroup, place.database, seconds, lambda text: views.say(screen, text))
