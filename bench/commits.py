"""What a commit costs: cpu, requests to S3 and Glue, metadata: `python bench/commits.py`, for bench/scale.yaml.

Commits of a collector to `proxy`, in a folder and in SeaweedFS with moto's Glue. Requests are counted, and cpu is that
of the collector's own process (moto's Glue, which plays in it, included); all of it stands on this machine, so that
its times say nothing of AWS.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `python bench/commits.py` finds its parts

from bench.counted_s3 import ACCESS, SECRET, counted_s3
from collectors.batch import Batch, Position
from collectors.squid.schema import PROXY_SCHEMA

BUCKET, ROWS, AROUND, TURNS = "bench-bucket", 1000, 5, 10


def rows(begin: int) -> pa.Table:
    """Lines of one moment."""
    columns: dict[str, Any] = {
        "ts": pa.array([datetime.now(UTC)] * ROWS, PROXY_SCHEMA.field("ts").type),
        "user_name": pa.array([f"user{n % 50}@LAB.EXAMPLE" for n in range(ROWS)]),
        "host": pa.array([f"h{n % 200}.example" for n in range(ROWS)]),
        "method": pa.array(["CONNECT"] * ROWS),
        "bytes_down": pa.array(range(ROWS), pa.int64()),
        "source": pa.array(["fw1:/var/squid/logs/access.log"] * ROWS),
        "source_offset": pa.array(range(begin, begin + ROWS), pa.int64()),
    }
    return pa.table({one.name: columns.get(one.name, pa.nulls(ROWS, one.type)) for one in PROXY_SCHEMA})


def measured(lake: Any, at: tuple[int, ...], asked: Callable[[], Counter[str]]) -> list[dict[str, Any]]:
    """Commit after commit; around each of the numbers `at`, what some of them cost."""
    from pfsquid.lake.ingest import Ingested, ingest

    found: list[dict[str, Any]] = []
    known: dict[str, Position] = {}
    for number in range(1, max(at) + AROUND):
        step = Batch("proxy", rows(number * ROWS), "fw1:/var/squid/logs/access.log", Position((number + 1) * ROWS))
        near = next((one for one in at if one <= number < one + AROUND), None)
        if near == number:
            asked()
            cpu, wall = time.process_time(), time.perf_counter()
        ingest(lake, [step], Ingested(), known=known)
        known = {step.source: step.position}
        if near is not None and number == near + AROUND - 1:
            spent = {"cpu_s": (time.process_time() - cpu) / AROUND, "wall_s": (time.perf_counter() - wall) / AROUND}
            requests = {kind: round(count / AROUND, 1) for kind, count in sorted(asked().items())}
            table = lake.table("proxy")
            metadata = len(table.io.new_input(table.metadata_location))
            snapshot = table.current_snapshot()
            found.append(
                {
                    "snapshots": len(table.metadata.snapshots),
                    **{name: round(value, 4) for name, value in spent.items()},
                    "metadata_kb": round(metadata / 1000, 1),
                    "manifests": len(snapshot.manifests(table.io)),
                    **({"requests": requests} if requests else {}),
                }
            )
    return found


def in_folder(at: tuple[int, ...]) -> list[dict[str, Any]]:
    """On this machine's disk."""
    from pfsquid.lake.catalog import open_lake

    with tempfile.TemporaryDirectory(prefix="commits-") as folder:
        return measured(open_lake(Path(folder) / "lake", make=True), at, Counter)


def in_s3(at: tuple[int, ...]) -> list[dict[str, Any]]:
    """In SeaweedFS, with Glue as moto plays it in this process."""
    import boto3
    from moto import mock_aws

    from pfsquid.cloud import Cloud
    from pfsquid.lake.catalog import open_lake
    from pfsquid.place import Place

    os.environ.update({"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"})
    passing: Any = {"core": {"mock_credentials": False, "passthrough": {"urls": [r"http://127\.0\.0\.1.*"]}}}
    with counted_s3() as s3, tempfile.TemporaryDirectory(prefix="commits-") as folder, mock_aws(config=passing):
        cloud = Cloud("us-east-1", None, s3.url)
        _bucket(cloud.client("s3"))
        boto3.client("glue", region_name="us-east-1").create_database(DatabaseInput={"Name": "pfsquid"})
        lake = open_lake(Place(Path(folder), f"s3://{BUCKET}/lake", "glue", "pfsquid", cloud), make=True)
        glue: Counter[str] = Counter()
        events = lake.catalog.glue.meta.events  # type: ignore[attr-defined]
        events.register("before-call.glue", lambda model, **_: glue.update([f"glue.{model.name}"]))

        def asked() -> Counter[str]:
            counts = Counter({f"s3.{kind}": number for kind, number in s3.asked().items()}) + glue
            glue.clear()
            return counts

        return measured(lake, at, asked)


def contended(writers: int) -> dict[str, Any]:
    """As many machines that commit to one table as fast as they can: requests a commit, and how many came second."""
    from pfsquid.cloud import Cloud
    from pfsquid.lake.catalog import open_lake
    from pfsquid.place import Place

    os.environ.update({"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"})
    with counted_s3() as s3, tempfile.TemporaryDirectory(prefix="commits-") as folder:
        cloud = Cloud("us-east-1", None, s3.url)
        _bucket(cloud.client("s3"))
        places = [
            Place(Path(folder) / str(number), f"s3://{BUCKET}/lake", f"sqlite:{folder}/catalog.db", "pfsquid", cloud)
            for number in range(writers)
        ]
        lake = open_lake(places[0], make=True)
        lake.made_table("proxy")
        s3.asked()
        context = multiprocessing.get_context("spawn")
        every = [context.Process(target=_write, args=(place, number)) for number, place in enumerate(places)]
        for one in every:
            one.start()
        for one in every:
            one.join()
        if any(one.exitcode for one in every):
            raise SystemExit("a writer failed")
        asked, table = s3.asked(), lake.table("proxy")
        count = len(table.metadata.snapshots) if table else 0
        requests = {f"s3.{kind}": round(number / count, 1) for kind, number in sorted(asked.items())}
        return {"writers": writers, "commits": count, "requests": requests}


def _write(place: Any, number: int) -> None:
    from pfsquid.lake.catalog import open_lake
    from pfsquid.lake.ingest import Ingested, ingest

    source, known = f"fw{number}:/var/squid/logs/access.log", dict[str, Position]()
    for turn in range(TURNS):
        step = Batch("proxy", rows(turn * ROWS), source, Position((turn + 1) * ROWS))
        ingest(open_lake(place, make=True), [step], Ingested(), known=known)
        known = {source: step.position}


def _bucket(client: Any) -> None:
    """Make the bucket, and wait until SeaweedFS has a place for its first object."""
    from botocore.exceptions import BotoCoreError, ClientError

    last: Exception | None = None
    for _ in range(60):
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="first", Body=b"x")
            return
        except (ClientError, BotoCoreError) as exc:
            last = exc
            time.sleep(0.5)
    raise SystemExit(f"SeaweedFS does not take an object: {last}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what commits cost, for bench/scale.yaml.")
    parser.add_argument("--at", type=int, nargs="+", default=[1, 10, 100, 360, 1000], help="after so many commits")
    parser.add_argument("--where", choices=["folder", "s3", "contended", "all"], default="all")
    given = parser.parse_args()
    at = tuple(sorted(given.at))
    found: dict[str, Any] = {"rows_per_commit": ROWS}
    if given.where in ("folder", "all"):
        found["folder"] = in_folder(at)
    if given.where in ("s3", "all"):
        found["s3"] = in_s3(at)
    if given.where in ("contended", "all"):
        found["contended"] = [contended(writers) for writers in (1, 2, 4)]
    print(yaml.safe_dump({"commits": found}, sort_keys=False), end="")


if __name__ == "__main__":
    main()
