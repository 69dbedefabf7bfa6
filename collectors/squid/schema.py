"""The rows of the access log: the Arrow schema of the lake's table `proxy`."""

from __future__ import annotations

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
EXTRA = pa.map_(pa.string(), pa.string())

PROXY_SCHEMA = pa.schema(
    [
        pa.field("ts", TIMESTAMP, nullable=False),  # when Squid wrote the line: the end of the request
        pa.field("started_at", TIMESTAMP),  # ts - elapsed_ms
        pa.field("elapsed_ms", pa.int64()),
        pa.field("firewall", pa.string()),
        pa.field("client_ip", pa.string()),
        pa.field("client_port", pa.int32()),
        pa.field("client_mac", pa.string()),
        pa.field("user_name", pa.string()),  # as logged, unescaped: rick.sanchez@LAB.EXAMPLE
        pa.field("action", pa.string()),  # %Ss
        pa.field("status", pa.int32()),  # %>Hs; 0 where Squid answered nothing
        pa.field("method", pa.string()),
        pa.field("url", pa.string()),
        pa.field("scheme", pa.string()),
        pa.field("host", pa.string()),  # lower case, without brackets
        pa.field("port", pa.int32()),
        pa.field("path", pa.string()),
        pa.field("bytes_down", pa.int64()),  # %<st: to the client
        pa.field("bytes_up", pa.int64()),  # %>st: from the client; null where the format has none
        pa.field("hierarchy", pa.string()),
        pa.field("peer", pa.string()),
        pa.field("content_type", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("referrer", pa.string()),
        pa.field("sni", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_offset", pa.int64(), nullable=False),
        pa.field("extra", EXTRA),  # what the format logs beside: code as written (`<tt`, `{Host}>h`) → text; or null
    ]
)
