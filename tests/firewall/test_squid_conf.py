"""squid.conf and the cache manager's page, read as far as Kerberos hangs on them: real text, odd text, any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfsquid.firewall.squid_conf import (
    Children,
    Helpers,
    Listener,
    children,
    debug_level,
    directive,
    helpers,
    listeners,
    negotiate_command,
    split,
)
from tests.firewall.conftest import wanted

HELPER = "/usr/local/libexec/squid/negotiate_kerberos_auth"
# Of Squid 5.7, while five helpers were busy and two requests waited; the tokens taken out as the firewall does.
BUSY = """Negotiate Authenticator Statistics:
  program: /usr/local/libexec/squid/slow
  number active: 5 of 5 (0 shutting down)
  requests sent: 13
  replies received: 7
  requests timedout: 0
  queue length: 2
  avg service time: 2586 msec

   ID #\t     FD\t    PID\t # Requests\t  # Replies\t# Timed-out\t Flags\t   Time\t Offset\tRequest
      8\t     10\t    590\t          1\t          0\t          0\tB  R  \t219742.085\t      0\tYR …\\n
      9\t     15\t    591\t          1\t          0\t          0\tB  R  \t219742.085\t      0\tYR …\\n
     10\t     17\t    593\t          1\t          0\t          0\tB  R  \t219742.085\t      0\tYR …\\n
     11\t     19\t    594\t          1\t          0\t          0\tB  R  \t219742.085\t      0\tYR …\\n
     12\t     22\t    595\t          1\t          0\t          0\tB  R  \t219742.085\t      0\tYR …\\n

Flags key:
   B\tBUSY
   W\tWRITING
   C\tCLOSING
   R\tRESERVED
   S\tSHUTDOWN PENDING
   P\tPLACEHOLDER
"""
IDLE = """Negotiate Authenticator Statistics:
  program: /usr/local/libexec/squid/negotiate_kerberos_auth
  number active: 1 of 5 (0 shutting down)
  requests sent: 0
  replies received: 0
  requests timedout: 0
  queue length: 0
  avg service time: 0 msec

   ID #\t     FD\t    PID\t # Requests\t  # Replies\t# Timed-out\t Flags\t   Time\t Offset\tRequest
      1\t     10\t    412\t          0\t          0\t          0\t      \t  0.000\t      0\t(none)
"""


def test_the_helper_of_our_own_block() -> None:
    command = negotiate_command(wanted().block)
    assert command is not None
    assert command.program == HELPER
    assert command.keytab == "/usr/local/etc/squid/pfsquid-20261124T080000.keytab"
    assert command.spn == "HTTP/proxy.lab.pfsquid.test@LAB.PFSQUID.TEST"
    assert (command.replay, command.environment, command.options) == ("none", {}, frozenset("kst"))
    assert command.words[:3] == (HELPER, "-k", command.keytab)


def test_the_last_line_counts() -> None:
    text = f"auth_param negotiate program {HELPER} -k /a\nauth_param negotiate program {HELPER} -k /b\n"
    command = negotiate_command(text)
    assert command is not None
    assert command.keytab == "/b"


@pytest.mark.parametrize(
    ("line", "keytab", "spn", "options"),
    [
        (f"{HELPER} -k/a/b -sHTTP/x@R -rd", "/a/b", "HTTP/x@R", "ksrd"),
        (f"{HELPER} -drk /a -i", "/a", None, "drki"),
        (f"{HELPER} -k FILE:/a", "/a", None, "k"),
        (f'{HELPER} -s "GSS_C_NO_NAME"', None, "GSS_C_NO_NAME", "s"),
        (f"{HELPER}", None, None, ""),
        (f"{HELPER} -k", "", None, "k"),
        (f"{HELPER} \\\n -k /a", "/a", None, "k"),
    ],
)
def test_options_as_getopt_reads_them(line: str, keytab: str | None, spn: str | None, options: str) -> None:
    command = negotiate_command(f"  auth_param  negotiate program {line}\r\n")
    assert command is not None
    assert (command.program, command.keytab, command.spn) == (HELPER, keytab, spn)
    assert command.options == frozenset(options)


def test_an_env_before_the_helper() -> None:
    line = f"/usr/bin/env KRB5_CONFIG=/a:/b KRB5_KTNAME=/k {HELPER} -s HTTP/x"
    command = negotiate_command(f"auth_param negotiate program {line}")
    assert command is not None
    assert command.environment == {"KRB5_CONFIG": "/a:/b", "KRB5_KTNAME": "/k"}
    assert (command.program, command.keytab) == (HELPER, None)
    assert command.words[0] == "/usr/bin/env"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "auth_param basic program /x",
        "# auth_param negotiate program /x",
        "auth_param negotiate children 5",
        "auth_param negotiate program",
    ],
)
def test_no_helper(text: str) -> None:
    assert negotiate_command(text) is None


def test_words_in_quotes() -> None:
    assert split("""a "b c" 'd e' "f\\"g" h""") == ("a", "b c", "d e", 'f"g', "h")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("auth_param negotiate children 20 startup=2 idle=3", Children(20, 2, 3)),
        ("auth_param negotiate children 7", Children(7, 0, 1)),
        ("", Children(20, 0, 1)),
        ("auth_param negotiate children many startup=some", Children(20, 0, 1)),
    ],
)
def test_children(line: str, found: Children) -> None:
    assert children(line) == found


def test_listeners_for_browsers() -> None:
    text = (
        "http_port 10.77.0.1:3128\nhttp_port [fd77::1]:3128 ssl-bump cert=/x\nhttp_port 8080\n"
        "http_port 127.0.0.1:3129 intercept\nhttp_port proxy.example:3130\nhttps_port 3131\nhttp_port x\n"
    )
    assert listeners(text) == (
        Listener("10.77.0.1", 3128),
        Listener("fd77::1", 3128),
        Listener("", 8080),
        Listener("proxy.example", 3130),
    )


def test_a_directive_has_its_last_value() -> None:
    text = "visible_hostname a\n visible_hostname  b.example \n#visible_hostname c\nvisible_hostname_x d"
    assert (directive(text, "visible_hostname"), directive(text, "pid_filename")) == ("b.example", None)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("", 1),
        ("debug_options rotate=14", 0),
        ("debug_options rotate=14\ndebug_options ALL,1 rotate=14", 1),
        ("debug_options ALL,2 29,5", 2),
        ("debug_options ALL,1\ndebug_options rotate=0", 0),
    ],
)
def test_debug_level(text: str, level: int) -> None:
    assert debug_level(text) == level


def test_busy_helpers() -> None:
    assert helpers(BUSY) == Helpers(5, 5, 5, 5, 2, 13, 7, 2586.0)


def test_idle_helpers() -> None:
    assert helpers(IDLE) == Helpers(1, 5, 0, 0, 0, 0, 0, 0.0)


def test_the_pages_of_several_workers_are_added_up() -> None:
    both = helpers(f"by kid1 {{\n{BUSY}}} by kid1\n\nby kid2 {{\n{IDLE}}} by kid2\n")
    assert both == Helpers(6, 10, 5, 5, 2, 13, 7, 2586.0)


@pytest.mark.parametrize("page", ["", "<html>404</html>", "Negotiate Authenticator Statistics:\n"])
def test_no_page(page: str) -> None:
    assert helpers(page) is None


@given(st.text(alphabet=st.sampled_from("auth_prmnegoi wl\"'\\\n\t\r=#-kst/:[]0123456789,ALBR"), max_size=300))
def test_no_text_is_an_error(text: str) -> None:
    for line in (
        text,
        f"auth_param negotiate program {text}",
        f"auth_param negotiate children {text}",
        f"http_port {text}",
    ):
        negotiate_command(line), children(line), listeners(line), debug_level(f"debug_options {text}")
    helpers(f"number active: 1 of 2\n{text}")
