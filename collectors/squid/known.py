"""Logformats that are in use beside those that Squid ships: one entry shaped like the next, for `--format auto`.

To add one, put its name, its logformat and where it is from. Only what Squid writes by it is known, no log is copied.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """A logformat with a name. source: who asks for it, or where it was seen."""

    name: str
    logformat: str
    source: str


_NATIVE = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"

KNOWN_FORMATS = (
    Known("squid-mime", f"{_NATIVE} [%>h] [%<h]", "Squid 2.6 to 3.1 (squidmime), Datadog, and log_mime_hdrs on"),
    Known("squid-agent", f'{_NATIVE} "%{{Referer}}>h" "%{{User-Agent}}>h"', "Sekoia: native, referrer, user agent"),
    Known("squid-agent-only", f'{_NATIVE} "%{{User-Agent}}>h"', "native, user agent"),
    Known(
        "squid-request-size",
        "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt",
        "squid_sql: native with the size of the request",
    ),
    Known("squid-local-time", "%tl %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt", "native with readable times"),
    Known("squid-in-brackets", "[%tl] %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt", "the same in brackets"),
    Known(
        "splunk",
        "%ts.%03tu logformat=splunk_recommended_squid duration=%tr src_ip=%>a src_port=%>p dest_ip=%<a dest_port=%<p"
        ' user_ident="%[ui" user="%[un" local_time=[%tl] http_method=%rm request_method_from_client=%<rm'
        ' request_method_to_server=%>rm url="%ru" http_referrer="%{Referer}>h" http_user_agent="%{User-Agent}>h"'
        ' status=%>Hs vendor_action=%Ss dest_status=%Sh total_time_milliseconds=%<tt http_content_type="%mt" bytes=%st'
        ' bytes_in=%>st bytes_out=%<st sni="%ssl::>sni"',
        "Splunk's add-on for Squid",
    ),
    Known(
        "devo",
        '%{%F:%T%z}tl %>a:%>p %ui %un %<A "%rm %ru HTTP/%rv" "%{Referer}>h" "%{User-Agent}>h" "%{Cookie}>h" %>Hs %>st'
        " %tr %<st %mt %Ss:%Sh",
        "Devo: access-lt",
    ),
    Known(
        "elastic",
        "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt %>st %>sh %<sh"
        ' "%{Host}>h" "%{Referer}>h" "%{User-Agent}>h" "%{X-Forwarded-For}>h" %ssl::>sni',
        "fields that Elastic's integration for Squid names, after the native ones",
    ),
    Known(
        "json",
        '{"timestamp":"%tl","url":"%ru","status":%>Hs,"action":"%Ss"}',
        "JSON by hand",
    ),
    Known(
        "apache-combined",
        '%>a %[ui %[un [%tl] "%rm %\'ru HTTP/%rv" %>Hs %<st "%\'{Referer}>h" "%\'{User-Agent}>h"',
        "combined without Squid's two codes",
    ),
    Known("apache-common", '%>a %[ui %[un [%tl] "%rm %\'ru HTTP/%rv" %>Hs %<st', "emulate_httpd_log of Squid 2"),
)
