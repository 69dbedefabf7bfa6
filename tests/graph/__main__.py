"""Serve in the foreground, for a test with processes of their own: `python -m tests.graph --sign-ins 200000 --days 30`.

Prints one line of JSON: url, authority, ca, tenant, client_id, secret. Ends on SIGTERM, SIGINT, or when its input ends
where --until-eof is given. With --state FILE a server that is started again has the same port, certificates and time.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from tests.graph.certificate import make
from tests.graph.serving import Options, build
from tests.graph.world import Size


def main(words: list[str]) -> int:
    """The options are those of Size and Options by name, with - for _."""
    parser = argparse.ArgumentParser(prog="python -m tests.graph", description=__doc__)
    for kind in (Size, Options):
        hints = get_type_hints(kind)
        for one in fields(kind):
            parser.add_argument(f"--{one.name.replace('_', '-')}", type=_reader(hints[one.name]), default=one.default)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--until-eof", action="store_true")
    given = vars(parser.parse_args(words))
    size = Size(**{one.name: given[one.name] for one in fields(Size)})
    options = Options(**{one.name: given[one.name] for one in fields(Options)})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given["state"]:
            folder, options = _resumed(given["state"], options)
        made = folder / "ca.pem", folder / "localhost.pem", folder / "localhost.key"
        server, served = build(size, options, made if made[0].exists() else make(folder))
        if given["state"]:
            _remember(given["state"], server.server_address[1], served.control.site.clock.start)
        done = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: done.set())
        if given["until_eof"]:
            threading.Thread(target=_at_the_end_of_input, args=(done,), daemon=True).start()
        server.start()
        line = {name: str(value) for name, value in vars(served).items() if name != "control"}
        print(json.dumps(line), flush=True)
        done.wait()
        server.stop()
    return 0


def _at_the_end_of_input(done: threading.Event) -> None:
    sys.stdin.read()
    done.set()


def _reader(hint: Any) -> Any:
    """The type of a setting; one that may be None has it first."""
    return hint if isinstance(hint, type) else hint.__args__[0]


def _resumed(state: Path, options: Options) -> tuple[Path, Options]:
    """Where the certificates are, and the options with what an earlier server has left."""
    folder = state.with_name(state.name + ".tls")
    folder.mkdir(exist_ok=True)
    if state.exists():
        left = json.loads(state.read_text("utf-8"))
        passed = (time.time() - left["real"]) * options.speed
        options = replace(options, port=left["port"], start=left["start"], passed=passed)
    return folder, options


def _remember(state: Path, port: int, start: float) -> None:
    if not state.exists():
        state.write_text(json.dumps({"port": port, "start": start, "real": time.time()}), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
