"""Record a working week of Squid's logs: `python -m tests.lab.record OUTDIR` (the lab is up).

Squid's clock is set to each hour of the week and runs faster than the true one; the traffic is
real, and so are the logs. Writes access.log, pfsquid.log, truth.json and README.md into OUTDIR;
leaves the lab with Squid at the true time and without the recording's logs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.lab import fw
from tests.lab.browse import Clock, browse
from tests.lab.errors import LabError
from tests.lab.fw_files import NATIVE_LOG, OWN_LOG, SQUID_CONF
from tests.lab.hosts import must
from tests.lab.layout import FW, state_folder
from tests.lab.session import Record
from tests.lab.traffic import totals
from tests.lab.week import DAYS, HOURS, hour_of

SPEED = 60.0


def record_week(state: Path) -> dict[str, Any]:
    """Play the week; the truth of all of it."""
    records: list[dict[str, Any]] = []
    fw.fresh_logs(state)
    for day, date in enumerate(DAYS):
        for hour in HOURS:
            shown = datetime.fromisoformat(f"{date} {hour:02}:{(7 * day + hour) % 23:02}:00").replace(tzinfo=UTC)
            fw.stop_squid(state)
            true = time.time()
            fw.start_squid(state, shown.strftime("%Y-%m-%d %H:%M:%S"), SPEED)
            truth = browse(state, hour_of(day, hour), clock=Clock(true, shown.timestamp(), SPEED))
            records += truth["records"]
        print(f"{date}: {len(records)} lines so far", file=sys.stderr, flush=True)
    fw.stop_squid(state)
    return {
        "first": min(r["first"] for r in records),
        "last": max(r["last"] for r in records),
        "totals": totals([Record(**record) for record in records]),
        "records": records,
    }


def one_a_line(truth: dict[str, Any]) -> str:
    """The truth as JSON, a record or sum a line, so that it can be read and compared by eye."""
    parts = []
    for name in ("totals", "records"):
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in truth[name])
        parts.append(f'"{name}": [\n{rows}\n]')
    return f'{{"first": {truth["first"]}, "last": {truth["last"]},\n' + ",\n".join(parts) + "}\n"


def readme(lines: int, version: str, log_format: str) -> str:
    return f"""# A week of a real proxy

`access.log` (Squid's own format) and `pfsquid.log` (pfsquid's) were written by Squid itself, side by
side, {lines} lines each. Made with `python -m tests.lab up && python -m tests.lab.record OUTDIR` on
{datetime.now(UTC):%Y-%m-%d}, by {version}, as Debian builds it.

The people, their tickets, the domain controller, the proxy and each byte are real, though small: see
`tests/lab/README.md`. Two things are not: all sites are one web server, and Squid's clock was set to
each hour of 16 to 20 November 2026 (UTC) and ran {SPEED:g} times as fast as the true one, so elapsed
times are that much longer than they were.

`truth.json` is the clients' own account of the same requests: one record a line of the log, and sums
for each user, host and method. Bytes are exact where `bytes_exact` says so; times are Squid's, to
within two seconds.

Log format of `pfsquid.log`:

    {log_format}
"""


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m tests.lab.record OUTDIR", file=sys.stderr)
        return 2
    state, out = state_folder(), Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    try:
        truth = record_week(state)
        for log in (NATIVE_LOG, OWN_LOG):
            (out / Path(log).name).write_bytes(must(state, FW, ["cat", log], f"cannot read {log}"))
        fw.fresh_logs(state)
    except LabError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    (out / "truth.json").write_text(one_a_line(truth))
    version = subprocess.run(["squid", "-v"], capture_output=True, text=True).stdout.splitlines()[0]
    found = must(state, FW, ["sed", "-n", "s/^logformat pfsquid //p", SQUID_CONF], "no log format in squid.conf")
    (out / "README.md").write_text(readme(len(truth["records"]), version, found.decode().strip()))
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>9,}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
