"""pfSense, through constant PHP programs: JSON on standard input, one marked line of JSON back. No program is made of
strings, no data stands on a command line; what pfSense prints beside the answer is noise and kept as evidence."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pfsquid.errors import PfsquidError
from pfsquid.firewall.desired import BEGIN, END
from pfsquid.firewall.plan import Actual, ActualFile
from pfsquid.firewall.ssh import Connection, LostConnection, Ran

# Passes through sh, tcsh and pfSense's menu shell: no `!`, nothing that a shell expands outside of single quotes.
# The digest keeps half a program from running where the connection ends in the middle of it.
_PHP = (
    "/usr/local/bin/php -r '$in = json_decode(fgets(STDIN), true); "
    '$program = stream_get_contents(STDIN, $in["size"] ?? null); '
    'hash_equals(strval($in["sha256"] ?? ""), hash("sha256", $program)) && eval($program . "return true;");\''
)
_FOLDER = Path(__file__).parent / "programs"
_PIECES = {
    "read": ("begin", "prelude", "read"),
    "stage": ("begin", "prelude", "stage"),
    "apply": ("begin", "prelude", "prove", "apply"),
    "clean": ("begin", "prelude", "clean"),
    "renew": ("begin", "prelude", "prove", "renew"),
    # These only look: no file of pfSense is required, for that can write a cache.
    "inspect": ("begin", "squids_user", "settings", "inspect"),
    "relay": ("begin", "relay"),
    "accept": ("begin", "squids_user", "accept"),
    "since": ("begin", "since"),
    "log": ("begin", "log"),
}
_EMPTY_SQUID_CONF = (
    "http_port 127.0.0.1:3128\nacl localnet src all\n# Custom options before auth\nhttp_access deny all\n"
)


@dataclass(frozen=True)
class Facts:
    """What a reading found beside the state itself.

    squid_conf: the live file, or None. interfaces: name → IPv4 address as configured. keytabs: ours on the firewall.
    """

    package: bool
    squid: str
    squid_tls: bool
    helper: bool
    pid: int
    auth_method: str | None
    transparent: bool
    cache_saved: bool
    sync: str | None
    interfaces: dict[str, str | None]
    squid_conf: bytes | None
    keytabs: tuple[str, ...]


@dataclass(frozen=True)
class Pfsense:
    """A pfSense behind an open connection. sudo: the user is not root and must ask for it."""

    connection: Connection
    sudo: bool

    def run(self, program: str, data: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
        """Run a program of `programs/` with `data`; its answer. Raises PfsquidError, LostConnection."""
        command, body, mark = self.asked(program, data)
        ran = self.connection.run(command, body, seconds)
        for line in ran.out.decode("utf-8", "replace").splitlines():
            if line.startswith(mark):
                answer: dict[str, Any] = json.loads(line.removeprefix(mark))
                if answer.get("error"):
                    raise PfsquidError(f"{self.name}: {answer['error']}", answer["next"])
                return answer
        raise self.no_answer(program, ran)

    def asked(self, program: str, data: dict[str, Any], more: bool = False) -> tuple[str, bytes, str]:
        """The command that runs a program, what goes on its standard input, and the mark before its answers.

        more: further input follows, for the program itself.
        """
        mark = f"@@pfsquid-{secrets.token_hex(8)}:"
        text = _text(program)
        asked = {**data, "mark": mark, "sha256": hashlib.sha256(text).hexdigest()}
        if more:
            asked["size"] = len(text)
        return f"sudo -n {_PHP}" if self.sudo else _PHP, json.dumps(asked).encode() + b"\n" + text, mark

    @property
    def name(self) -> str:
        """The firewall's name in the configuration."""
        return self.connection.target.name

    @property
    def connected(self) -> bool:
        """Is the connection still there?"""
        return bool(self.connection.transport.is_active())

    def no_answer(self, program: str, ran: Ran) -> PfsquidError:
        """Why there is none, as far as that can be told."""
        status = ran.status
        said = (ran.out + b"\n" + ran.err).decode("utf-8", "replace").strip()[-500:]
        user = self.connection.target.user
        if status is None and not self.connected:
            return LostConnection(f"{self.name}: the connection was lost during {program}", "the same command again")
        if status is None or 128 < status < 160:  # a shell's way to say by which signal
            return PfsquidError(
                f"{self.name}: {program} was killed on the firewall (status {status})",
                "on the firewall: dmesg | tail    # out of memory?",
            )
        if self.sudo and ("sudo" in said or "password is required" in said):
            return PfsquidError(
                f"{self.name}: {user} may not run PHP as root: {said}",
                "System > Package Manager: install sudo; System > sudo: "
                f"user {user}, run as root, no password, /usr/local/bin/php",
            )
        if status == 127 or "not found" in said:
            return PfsquidError(
                f"{self.name}: there is no /usr/local/bin/php; is this pfSense? {said}", f"ssh {user}@…"
            )
        return PfsquidError(
            f"{self.name}: {program} ended with status {status} without an answer: {said or 'nothing was printed'}",
            "the same command with --debug; nothing is left half done without the next run finding it",
        )


def read(pfsense: Pfsense, fields: tuple[str, ...], files: tuple[str, ...], helper: str) -> tuple[Actual, Facts]:
    """The actual state of a firewall, and facts. fields, files: what is asked for beside pfsquid's own keytabs."""
    key = secrets.token_bytes(32)
    asked = {
        "key": base64.b64encode(key).decode(),
        "fields": fields,
        "files": files,
        "secret_files": (),
        "helper": helper,
    }
    answer = pfsense.run("read", asked)
    server_key = pfsense.connection.transport.get_remote_server_key()
    found = {path: _file(one) for path, one in mapping(answer["files"]).items() if one is not None}
    actual = Actual(
        release=answer["release"],
        host_key=f"{server_key.get_name()} {server_key.get_base64()}",
        fields=mapping(answer["fields"]),
        files=found,
        resolver=answer["resolver"],
        overrides=list(answer["overrides"]),
        key=key,
    )
    conf = answer["squid_conf"]
    facts = Facts(
        package=answer["package"],
        squid=answer["squid"],
        squid_tls=bool(answer.get("squid_tls")),
        helper=answer["helper"],
        pid=answer["pid"],
        auth_method=answer["auth_method"],
        transparent=answer["transparent"] == "on",
        cache_saved=answer["cache_saved"],
        sync=answer["sync"],
        interfaces=mapping(answer["interfaces"]),
        squid_conf=None if conf is None else base64.b64decode(conf),
        keytabs=tuple(sorted(path for path in found if path.endswith(".keytab"))),
    )
    return actual, facts


def candidate(live: bytes | None, before: str, after: str) -> bytes:
    """The squid.conf that the package will render, near enough for Squid's parser to judge the custom options.

    before, after: the field "Custom Options (Before Auth)", decoded. Where the text of before stands in the live file
    after comes in its place; else after is put at the end, for a directive may stand anywhere.
    """
    text = (live or _EMPTY_SQUID_CONF.encode()).decode("utf-8", "surrogateescape")
    old, new = before.replace("\r\n", "\n").strip("\n"), after.replace("\r\n", "\n").strip("\n")
    plain = text.replace("\r\n", "\n")
    if old and old in plain:
        return plain.replace(old, new, 1).encode("utf-8", "surrogateescape")
    # The live file is not of these options: a block of ours in it would count twice beside the new one.
    begin, end = plain.find(BEGIN), plain.find(END)
    if 0 <= begin < end:
        plain = plain[:begin] + plain[end + len(END) :]
    return f"{plain}\n{new}\n".encode("utf-8", "surrogateescape")


def _file(one: dict[str, Any]) -> ActualFile:
    content = one["content"]
    return ActualFile(
        one["digest"],
        one["size"],
        one["owner"],
        one["group"],
        one["mode"],
        None if content is None else base64.b64decode(content),
    )


def mapping(value: Any) -> dict[str, Any]:
    """A map of an answer: PHP writes an empty one as an empty list."""
    return dict(value) if isinstance(value, dict) else {}


@cache
def _text(program: str) -> bytes:
    return b"".join((_FOLDER / f"{piece}.php").read_bytes() for piece in _PIECES[program])
