"""Senders for the tests of the receiver, certificates for its TLS, and waiting for what they sent to arrive."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from collectors.squid.receiver import Receiver
from collectors.squid.spool import spool_files

PATIENCE = 10.0


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for it; an AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@contextmanager
def receiving(listen: str, spool: Path, **settings: Any) -> Iterator[Receiver]:
    """A receiver that has started, and is stopped at the end."""
    receiver = Receiver(listen, spool, **settings)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def spooled(spool: Path) -> bytes:
    """All that is in the spool, in its order."""
    return b"".join(file.read_bytes() for file in spool_files(spool))


def connect(receiver: Receiver, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, receiver.port), PATIENCE)


def send(receiver: Receiver, data: bytes, host: str = "127.0.0.1") -> None:
    with connect(receiver, host) as sender:
        sender.sendall(data)


def send_datagrams(receiver: Receiver, *datagrams: bytes, host: str = "127.0.0.1") -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (host, receiver.port))


@dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key, with what is needed to sign others."""

    certificate: Path
    key: Path
    signed: x509.Certificate
    private: ec.EllipticCurvePrivateKey

    def context(self, own: Pair | None = None) -> ssl.SSLContext:
        """A sender's TLS that trusts this one, and shows `own`."""
        context = ssl.create_default_context(cafile=self.certificate)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context


def make_pair(folder: Path, name: str, authority: Pair | None = None) -> Pair:
    """A certificate for 127.0.0.1 and ::1, signed by the authority, or an authority."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.signed.subject if authority else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )
    addresses = [x509.IPAddress(ip_address(one)) for one in ("127.0.0.1", "::1", "10.77.0.50")]
    builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    signed = builder.sign(authority.private if authority else private, hashes.SHA256())
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(_pem(private, serialization.NoEncryption()))
    return Pair(certificate, key, signed, private)


def lock(pair: Pair) -> None:
    """Put a password on the key."""
    pair.key.write_bytes(_pem(pair.private, serialization.BestAvailableEncryption(b"password")))


def _pem(private: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption)
