"""Bytes that real programs wrote, and bytes made from them: what every reader of hostile input is tested with."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import strategies as st

# Of the lab, whose passwords are in tests/lab: Samba 4.17, MIT krb5 1.20. `samba-2` is the second answer of a login.
WIRE: dict[str, bytes] = {
    name: bytes.fromhex(text)
    for name, text in json.loads(
        (Path(__file__).parents[1] / "captured" / "kerberos-wire" / "wire.json").read_text()
    ).items()
}
NONCE = 1234567  # of the requests that were answered there


@st.composite
def mutated(draw: st.DrawFn, *seeds: bytes) -> bytes:
    """One of the seeds with some bytes changed, cut out, doubled or put in, or cut short."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        what = draw(st.sampled_from(["byte", "bytes", "cut", "double", "end"]))
        if what == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif what == "bytes":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif what == "cut":
            del data[at : at + draw(st.integers(1, 8))]
        elif what == "double":
            data[at:at] = data[at : at + 16]
        else:
            del data[at:]
    return bytes(data)
