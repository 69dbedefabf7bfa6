"""SSH to a firewall: the host key is pinned, always; commands are constant, data goes on standard input.

The commands must pass through sh, tcsh and pfSense's menu shell alike. Never accepts an unknown key, never puts data on
a command line.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from pfsquid.errors import PfsquidError, WrongUse

CONNECT_SECONDS = 10.0
SILENCE_MILLISECONDS = 8000  # a dead link is noticed after this; keep-alives alone did not in 25 s


@dataclass(frozen=True)
class Target:
    """Where and as whom. host_keys: pinned keys as `ssh-ed25519 AAAA…` or `SHA256:…`. Secrets are resolved already."""

    name: str
    host: str
    port: int
    user: str
    host_keys: tuple[str, ...]
    identity: Path | None = None
    passphrase: str | None = None
    password: str | None = None
    agent: bool = True


@dataclass(frozen=True)
class Ran:
    """What a command did. status: its exit status, None where it was killed or the connection ended first."""

    status: int | None
    out: bytes
    err: bytes


class LostConnection(PfsquidError):  # noqa: N818 - reads as what it is
    """The connection ended before the command did: nobody knows how far it came."""


def fingerprint(key: paramiko.PKey) -> str:
    """`SHA256:…` of a key, as `ssh-keygen -l` shows it (RFC 4648 base64 without padding)."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


@contextmanager
def connection(target: Target) -> Iterator[Connection]:
    """A connection to a firewall whose host key is one of the pinned ones. Raises PfsquidError."""
    transport = _transport(target.host, target.port, _key_types(target.host_keys))
    try:
        _check_host_key(target, transport.get_remote_server_key())
        _authenticate(target, transport)
        yield Connection(target, transport)
    finally:
        transport.close()


def host_key(host: str, port: int) -> paramiko.PKey:
    """The host key that a server shows now, for a person to compare. Raises PfsquidError."""
    transport = _transport(host, port, ())
    try:
        return transport.get_remote_server_key()
    finally:
        transport.close()


@dataclass(frozen=True)
class Connection:
    """An open connection. Not for several threads at once."""

    target: Target
    transport: paramiko.Transport

    def run(self, command: str, data: bytes = b"", seconds: float = 60.0) -> Ran:
        """Run one constant command with `data` on its standard input.

        Raises LostConnection where the connection ends first, PfsquidError after `seconds` without an end.
        """
        try:
            channel = self.transport.open_session(timeout=CONNECT_SECONDS)
            channel.settimeout(seconds)
            channel.exec_command(command)
            return _exchange(channel, data)
        except TimeoutError:
            raise PfsquidError(
                f"{self.target.name}: no answer within {seconds:.0f} s",
                f"ssh {self.target.user}@{self.target.host} uptime",
            ) from None
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise LostConnection(
                f"{self.target.name}: the connection was lost: {exc}",
                "the same command again: it finds out what was done, and finishes or undoes it",
            ) from exc


def _exchange(channel: paramiko.Channel, data: bytes) -> Ran:
    """Send and receive at the same time: a command that answers before it has read all would stop both else."""

    def send() -> None:
        with suppress(OSError):
            channel.sendall(data)
            channel.shutdown_write()

    errors: list[bytes] = []
    threads = [threading.Thread(target=send, daemon=True)]
    threads.append(threading.Thread(target=lambda: errors.extend(_all(channel.recv_stderr)), daemon=True))
    for thread in threads:
        thread.start()
    out = b"".join(_all(channel.recv))
    for thread in threads:
        thread.join(5)
    status = channel.recv_exit_status()
    if status < 0 and not channel.get_transport().is_active():
        raise EOFError("before the command ended")
    return Ran(None if status < 0 else status, out, b"".join(errors))


def _all(receive: object) -> Iterator[bytes]:
    while block := receive(65536):  # type: ignore[operator]
        yield block


def _transport(host: str, port: int, key_types: tuple[str, ...]) -> paramiko.Transport:
    try:
        sock = socket.create_connection((host, port), CONNECT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MILLISECONDS)
        transport = paramiko.Transport(sock)
        if key_types:
            options = transport.get_security_options()
            wanted = [kind for kind in options.key_types if any(_same_kind(kind, pinned) for pinned in key_types)]
            if wanted:
                options.key_types = wanted
        transport.banner_timeout = CONNECT_SECONDS
        transport.start_client(timeout=CONNECT_SECONDS)
    except (OSError, paramiko.SSHException, EOFError) as exc:
        raise PfsquidError(
            f"{host} port {port} cannot be reached by SSH: {exc or type(exc).__name__}",
            f"ssh -p {port} -v {host}",
            "System > Advanced > Admin Access: Enable Secure Shell; and a firewall rule that lets this machine in",
        ) from exc
    return transport


def _same_kind(offered: str, pinned: str) -> bool:
    """ssh-rsa keys are offered under the names of their signatures, too (RFC 8332)."""
    return offered == pinned or (pinned == "ssh-rsa" and offered.startswith("rsa-sha2-"))


def _key_types(pins: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pin.split()[0] for pin in pins if not pin.startswith("SHA256:"))


def _check_host_key(target: Target, key: paramiko.PKey) -> None:
    shown = {f"{key.get_name()} {key.get_base64()}", fingerprint(key)}
    pinned = {" ".join(pin.split()[:2]) for pin in target.host_keys}
    if shown & pinned:
        return
    raise PfsquidError(
        f"{target.name}: {target.host} shows the host key {key.get_name()} {fingerprint(key)}, which is not pinned",
        "on the firewall's own console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        "if it is the same there, pin it: pfsquid init",
    )


def _authenticate(target: Target, transport: paramiko.Transport) -> None:
    """Key, agent, password, keyboard-interactive, or key and then password, whatever the server asks for."""
    tried: list[str] = []
    remaining: list[str] = []
    try:
        for label, key in _keys(target):
            tried.append(label)
            try:
                remaining = transport.auth_publickey(target.user, key)
                break
            except paramiko.BadAuthenticationType:
                break  # the server takes no keys at all
            except paramiko.AuthenticationException:
                continue
        if not transport.is_authenticated() and target.password is not None:
            tried.append("password")
            _password(target, transport)
    except paramiko.SSHException as exc:
        raise _refused(target, tried, str(exc)) from exc
    if not transport.is_authenticated():
        also = f"; after the key it also wants {', '.join(remaining)}" if remaining else ""
        raise _refused(target, tried, f"not accepted{also}")


def _password(target: Target, transport: paramiko.Transport) -> None:
    password = target.password or ""
    try:
        transport.auth_password(target.user, password, fallback=False)
    except paramiko.BadAuthenticationType as exc:
        if "keyboard-interactive" not in exc.allowed_types:
            raise
        transport.auth_interactive(target.user, lambda _title, _hint, prompts: [password for _ in prompts])


def _keys(target: Target) -> Iterator[tuple[str, paramiko.PKey]]:
    if target.identity:
        passphrase = None if target.passphrase is None else target.passphrase.encode("utf-8")
        try:
            # The published types say str, the library takes bytes only.
            yield f"key {target.identity}", paramiko.PKey.from_path(target.identity, passphrase)  # type: ignore[arg-type]
        except FileNotFoundError:
            raise WrongUse(f"{target.name}: there is no key {target.identity}", "ssh-keygen -t ed25519") from None
        except (paramiko.PasswordRequiredException, TypeError):
            raise WrongUse(
                f"{target.name}: the key {target.identity} has a passphrase", "passphrase: env:NAME, or ssh-add"
            ) from None
        except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError, OSError) as exc:
            why = f"cannot be read: {exc}" if passphrase is None else "does not open with the passphrase given"
            raise WrongUse(
                f"{target.name}: the key {target.identity} {why}", f"ssh-keygen -yf {target.identity}"
            ) from exc
    if target.agent:
        with suppress(paramiko.SSHException):
            for key in paramiko.Agent().get_keys():
                yield f"agent key {key.get_name()}", key


def _refused(target: Target, tried: list[str], why: str) -> PfsquidError:
    return PfsquidError(
        f"{target.name}: {target.user}@{target.host} was not let in ({', '.join(tried) or 'nothing to try'}): {why}",
        f"ssh -p {target.port} {target.user}@{target.host}",
        "System > User Manager: does the user have a key or password, and shell access?",
    )
