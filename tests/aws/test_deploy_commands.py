"""The commands of `pfsquid aws` as processes: exit statuses, what is shown, what is asked, what AWS refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pfsquid.errors import ExitCode
from tests.aws.ministack import ACCOUNT, REGION, MiniStack
from tests.running import Pfsquid

BUCKET = f"pfsquid-lake-{ACCOUNT}-{REGION}"


@pytest.fixture
def configured(tmp_path: Path, pfsquid: Pfsquid) -> Pfsquid:
    """With a configuration that names the region."""
    (tmp_path / "pfsquid.yaml").write_text(yaml.safe_dump({"aws": {"region": REGION}}), "utf-8")
    return pfsquid


def typed(pfsquid: Pfsquid, ministack: MiniStack, answer: str, *words: str) -> tuple[int, str]:
    """A command with an answer on its standard input: exit status, and what it said on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "pfsquid", *words],
        input=f"{answer}\n",
        env={**pfsquid.environment(), **ministack.env},
        cwd=pfsquid.folder,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


def test_a_plan_shows_and_changes_nothing_and_says_so_by_its_exit_status(
    configured: Pfsquid, ministack: MiniStack
) -> None:
    run = configured("aws", "deploy", "--plan", "--no-collector", "--json", **ministack.env)
    assert run.status == ExitCode.FOUND
    assert {row["action"] for row in run.rows} == {"add"}
    assert "Lake" in {row["resource"] for row in run.rows}
    assert ministack.client("cloudformation").describe_stacks()["Stacks"] == []


def test_deploy_status_and_destroy_one_after_the_other(configured: Pfsquid, ministack: MiniStack) -> None:
    run = configured("aws", "deploy", "--yes", "--no-collector", **ministack.env)
    assert run.status == ExitCode.DONE, run.err
    assert f"lake: s3://{BUCKET}/lake" in run.err
    again = configured("aws", "deploy", "--plan", "--no-collector", **ministack.env)
    assert (again.status, "no changes" in again.err) == (ExitCode.DONE, True)
    status = configured("aws", "status", "--json", **ministack.env)
    assert status.status == ExitCode.DONE, status.out
    assert {row["what"]: row["state"] for row in status.rows}["template"] == "ok"
    destroyed = configured("aws", "destroy", "--yes", **ministack.env)
    assert destroyed.status == ExitCode.DONE, destroyed.err
    assert BUCKET in destroyed.out
    assert "--delete-data" in destroyed.err
    assert configured("aws", "status", **ministack.env).status == ExitCode.FOUND


def test_without_a_terminal_nothing_is_done_unasked(configured: Pfsquid, ministack: MiniStack) -> None:
    run = configured("aws", "deploy", "--no-collector", **ministack.env)
    assert (run.status, "--yes" in run.err) == (ExitCode.WRONG_USE, True)
    assert ministack.client("cloudformation").describe_stacks()["Stacks"] == []
    assert configured("aws", "destroy", **ministack.env).status == ExitCode.WRONG_USE


def test_yes_alone_deletes_no_data_and_neither_does_another_name(configured: Pfsquid, ministack: MiniStack) -> None:
    configured("aws", "deploy", "--yes", "--no-collector", **ministack.env)
    for answer in ("", "yes"):
        status, err = typed(configured, ministack, answer, "aws", "destroy", "--delete-data", "--yes")
        assert (status, "nothing was deleted" in err) == (ExitCode.FAILED, True)
    assert ministack.client("s3").head_bucket(Bucket=BUCKET)
    status, err = typed(configured, ministack, "pfsquid", "aws", "destroy", "--delete-data")
    assert status == ExitCode.DONE, err
    assert ministack.client("s3").list_buckets()["Buckets"] == []


def test_the_template_is_printed_without_asking_aws(pfsquid: Pfsquid) -> None:
    run = pfsquid("aws", "template", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert run.status == ExitCode.DONE
    assert run.out.startswith("# The lake in S3")
    assert "OptimizerRole" in run.out


def test_a_collector_needs_a_tenant_and_one_of_them(tmp_path: Path, pfsquid: Pfsquid, ministack: MiniStack) -> None:
    run = pfsquid("aws", "deploy", "--plan", **ministack.env)
    assert (run.status, "--no-collector" in run.err) == (ExitCode.WRONG_USE, True)
    tenant = {"tenant": "a.example", "client_id": "app", "secret": "env:S"}
    (tmp_path / "pfsquid.yaml").write_text(
        yaml.safe_dump({"collect": {"entra": {"one": tenant, "two": tenant}}}), "utf-8"
    )
    run = pfsquid("aws", "deploy", "--plan", **ministack.env)
    assert (run.status, "--tenant one" in run.err) == (ExitCode.WRONG_USE, True)


def test_without_credentials_or_a_region_it_is_said_what_to_do(configured: Pfsquid, tmp_path: Path) -> None:
    off = {"AWS_EC2_METADATA_DISABLED": "true"}
    run = configured("aws", "status", **off)
    assert (run.status, "aws configure" in run.err) == (ExitCode.FAILED, True)
    (tmp_path / "pfsquid.yaml").unlink()
    run = configured("aws", "status", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", **off)
    assert (run.status, "AWS_REGION" in run.err) == (ExitCode.WRONG_USE, True)


def test_an_unknown_parameter_is_refused_with_those_that_there_are(
    tmp_path: Path, pfsquid: Pfsquid, ministack: MiniStack
) -> None:
    whole = {"aws": {"region": REGION, "parameters": {"Mail": "a@example.com"}}}
    (tmp_path / "pfsquid.yaml").write_text(yaml.safe_dump(whole), "utf-8")
    run = pfsquid("aws", "deploy", "--plan", "--no-collector", **ministack.env)
    assert (run.status, "Email" in run.err) == (ExitCode.WRONG_USE, True)
