"""Judges of the proxy: its helper, Squid itself, cache.log, a real request and its line, NTLM, helper processes."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from pfsquid.firewall.inspected import HelperState
from pfsquid.kerberos import chain_proxy as chain
from pfsquid.kerberos.check import Finding, Status
from pfsquid.kerberos.facts_proxy import Line, Spoken
from tests.kerberos.made import (
    HELPER,
    HOSTILE,
    LAN,
    PROXY,
    SERVICE,
    WHO,
    asked,
    children,
    file,
    firewall,
    journal,
    lines,
    offer,
    requested,
    squid,
    told,
)

TOKEN = base64.b64encode(bytes(range(200))).decode()
MISSING = "BH gss_acquire_cred() failed: Unspecified GSS failure. Minor code: Key table file '/k' not found"
FATAL = "2026/11/24 08:00:00 kid1| FATAL: The negotiateauthenticator helpers are crashing too rapidly, need help!"
BUSY = "2026/11/24 08:00:00 kid1| WARNING: All 5/5 negotiateauthenticator processes are busy."
NTLM = "negotiate_kerberos_auth.cc(1): pid=1: received type 1 NTLM token"
LOG = "/var/squid/logs/access.log"


def says(text: str) -> Spoken:
    return Spoken(text, "")


# ---- the helper's program


WELL = HelperState(HELPER, file(HELPER, mode=0o755), "elf", True)


def program(spoken: Spoken | None = None, helper: HelperState | None = WELL) -> Finding:
    answer = spoken or Spoken("BH gss_accept_sec_context() failed: A token was invalid", "")
    return chain.helper_program(asked(), firewall(helper=helper), answer)


def test_a_helper_that_comes_as_far_as_the_token_has_taken_the_keytab() -> None:
    assert (program().status, HELPER in program().detail) == (Status.OK, True)


def test_a_helper_that_is_not_there_is_a_break_with_its_path() -> None:
    finding = program(helper=HelperState(HELPER, None, "other", None))
    assert (finding.status, finding.detail) == (Status.FAIL, f"there is no {HELPER}")


def test_no_helper_at_all_is_a_break() -> None:
    assert (program(helper=None).status, program(helper=None).detail) == (Status.FAIL, "squid.conf names no helper")


def test_a_helper_that_squids_user_may_not_run_is_a_break_with_its_mode() -> None:
    state = HelperState(HELPER, file(HELPER, owner="root", group="wheel", mode=0o700), "elf", False)
    finding = program(helper=state)
    assert (finding.status, "root:wheel 0700" in finding.detail) == (Status.FAIL, True)
    assert f"chmod 755 {HELPER}" in told(finding)


def test_a_helper_that_does_not_start_is_a_break_with_the_reason() -> None:
    finding = program(Spoken("", "", "no answer within 5 s"))
    assert (finding.status, "does not start as Squid's user: no answer within 5 s" in finding.detail) == (
        Status.FAIL, True,
    )  # fmt: skip


def test_a_helper_that_stumbles_over_the_keytab_is_a_break_with_its_cause() -> None:
    finding = program(says(MISSING))
    assert finding.status is Status.FAIL
    assert "does not take the keytab" in finding.detail
    assert finding.cause == ("keytab-default-missing",)
    assert "pfsquid configure" in told(finding)


@pytest.mark.parametrize("answer", HOSTILE)
def test_whatever_else_a_helper_says_is_a_break_and_fits_on_a_screen(answer: str) -> None:
    finding = program(says(answer))
    assert finding.status is Status.FAIL
    assert len(finding.detail) < 1000
    assert "\x1b" not in finding.detail


# ---- the helper with a real token


@pytest.mark.parametrize(
    "answer", [f"OK token=… user={WHO}", f"OK user={WHO} group=x", f"AF … {WHO}", f"AF oYG… {WHO}"]
)
def test_a_helper_that_accepts_a_token_names_the_person(answer: str) -> None:
    finding = chain.helper(asked(), says(answer))
    assert (finding.status, finding.detail) == (Status.OK, f"accepts a real token: {WHO}")


@pytest.mark.parametrize("answer", [f"OK token={TOKEN}", f"AF {TOKEN}", f"AF {TOKEN} {WHO}", f"OK user={WHO} {TOKEN}"])
def test_no_token_of_an_answer_is_ever_shown(answer: str) -> None:
    assert TOKEN[:40] not in repr(chain.helper(asked(), says(answer)))


@pytest.mark.parametrize("answer", ["OKAY", "BH something", "NA wrong", "ERR", *HOSTILE])
def test_any_other_answer_is_a_break(answer: str) -> None:
    finding = chain.helper(asked(), says(answer))
    assert (finding.status, "refuses a real token" in finding.detail) == (Status.FAIL, True)


def test_a_refusal_tells_its_cause_and_fills_the_commands() -> None:
    said = "BH gss_accept_sec_context() failed: Cannot decrypt ticket for HTTP/x@Y using keytab key for HTTP/x@Y"
    finding = chain.helper(asked(), says(said))
    assert "wrong-key" in finding.cause
    assert f"setspn -F -Q {SERVICE}" in told(finding)


def test_a_helper_that_says_nothing_is_told_with_its_errors_and_problem() -> None:
    finding = chain.helper(asked(), Spoken("", "", "it ended with signal 11"))
    assert "it ended with signal 11" in finding.detail


def test_an_unknown_text_is_kept_as_evidence() -> None:
    finding = chain.helper(asked(), Spoken("BH never heard of", "line one\nline two"))
    assert finding.evidence == ("BH never heard of", "line one", "line two")


# ---- Squid


def of_squid(pid: int = 99, recent: Any = (), older: Any = (), **other: Any) -> Finding:
    return chain.squid(firewall(squid=squid(pid=pid)), offer(**other), journal(recent, older))


@pytest.mark.parametrize(("schemes", "beside"), [(("Negotiate",), ""), (("negotiate", "Basic"), ", and offers Basic")])
def test_a_squid_that_asks_for_negotiate_is_well(schemes: tuple[str, ...], beside: str) -> None:
    assert of_squid(schemes=schemes).detail == f"{LAN}:3128 asks for Negotiate (407){beside}"


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ({}, "Squid does not run"),
        ({"recent": lines(FATAL)}, "Squid does not run: "),
        ({"older": lines("FATAL: never heard of")}, "Squid does not run: FATAL: never heard of"),
        ({"older": lines(f"FATAL: {'x ' * 9000}")}, "…"),
    ],
)
def test_a_squid_that_does_not_run_is_a_break_with_its_last_words(found: dict[str, Any], word: str) -> None:
    finding = of_squid(0, **found)
    assert (finding.status, word in finding.detail, len(finding.detail) < 1000) == (Status.FAIL, True, True)
    assert "squid -k parse" in told(finding)
    assert finding.cause[0] == "squid-not-running"


def test_a_squid_that_does_not_answer_is_a_break_with_place_and_reason() -> None:
    finding = of_squid(status=0, schemes=(), error="refused")
    assert (finding.status, f"does not answer at {LAN}:3128: refused" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize(("schemes", "said"), [((), "asks for nothing"), (("NTLM", "Basic"), "asks for NTLM, Basic")])
def test_a_squid_that_asks_for_something_else_is_a_break(schemes: tuple[str, ...], said: str) -> None:
    assert (of_squid(schemes=schemes).status, said in of_squid(schemes=schemes).detail) == (Status.FAIL, True)


@pytest.mark.parametrize("status", [200, 403, 503])
def test_a_squid_that_asks_for_no_ticket_is_a_break(status: int) -> None:
    finding = of_squid(status=status, schemes=())
    assert (finding.status, f"answers {status} to a request without a ticket" in finding.detail) == (Status.FAIL, True)


# ---- cache.log


def of_log(recent: Any = (), older: Any = (), **other: Any) -> Finding:
    return chain.cache_log(asked(), journal(recent, older, **other))


def test_a_log_without_a_crash_tells_since_when() -> None:
    assert of_log(lines("all is well")).detail == "no crash since 1970-01-01 00:25:00 UTC"
    assert of_log(since=None).detail == "no crash since its beginning"


def test_a_crash_is_a_break_with_its_time_and_evidence() -> None:
    finding = of_log(lines("fine", FATAL))
    assert (finding.status, "1 line tells of a crash at 1970-01-01 00:33:20 UTC" in finding.detail) == (
        Status.FAIL, True,
    )  # fmt: skip
    assert finding.evidence == (FATAL,)


def test_crashes_are_counted_and_a_few_shown() -> None:
    finding = of_log(lines(*[FATAL] * 20))
    assert ("20 lines tell of crashes, the last at" in finding.detail, len(finding.evidence)) == (True, 8)


def test_a_crash_without_a_time_counts() -> None:
    finding = of_log((Line(None, FATAL),))
    assert (finding.status, "at an unknown time" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize("found", [{"older": lines(FATAL, at=1000.0)}, {"recent": lines(FATAL, at=1499.0)}])
def test_a_crash_from_before_the_helpers_were_started_is_over(found: dict[str, Any]) -> None:
    assert of_log(**found).status is Status.OK


def test_a_crash_that_is_over_is_told_of() -> None:
    assert "the last at 1970-01-01 00:16:40 UTC" in of_log(older=lines(FATAL, at=1000.0)).detail


def test_no_token_in_the_log_is_ever_shown() -> None:
    assert TOKEN[:40] not in repr(of_log(lines(f"FATAL: helper crashed on YR {TOKEN}")))


# ---- the request


def of_request(**other: Any) -> Finding:
    return chain.request(asked(), offer(port=8080), requested(**other))


@pytest.mark.parametrize("status", [200, 204, 302])
def test_a_request_that_gets_through_tells_who_and_what(status: int) -> None:
    finding = of_request(status=status)
    assert finding.detail == f"{WHO}, from this machine: {status} for http://www.example.com/"


def test_a_proxy_that_cannot_be_reached_from_here_is_a_doubt_with_the_right_port() -> None:
    finding = of_request(status=0, problem="timed out")
    assert (finding.status, "timed out" in finding.detail) == (Status.ERROR, True)
    assert f"-x http://{PROXY}:8080" in told(finding)


def test_a_ticket_that_is_refused_is_a_break_with_the_cause_of_cache_log() -> None:
    finding = of_request(status=407, cache_log=MISSING)
    assert (finding.status, finding.cause) == (Status.FAIL, ("keytab-default-missing",))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_ticket_that_is_refused_without_a_word_is_a_break_too(text: str) -> None:
    finding = of_request(status=407, cache_log=text)
    assert (finding.status, "407 to a request with a ticket" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize("error", ["ERR_ACCESS_DENIED 0", ""])
def test_a_page_that_a_rule_refuses_is_a_warning_since_the_login_worked(error: str) -> None:
    finding = of_request(status=403, squid_error=error)
    assert (finding.status, "let in, and then refused by a rule" in finding.detail) == (Status.WARN, True)


def test_a_rule_that_came_before_the_login_is_not_called_a_login() -> None:
    finding = of_request(status=403, logs={LOG: "1 1 10.1.0.50 TCP_DENIED/403 1 GET http://www.example.com/ - x -\n"})
    assert (finding.status, "before the ticket was looked at" in finding.detail) == (Status.ERROR, True)


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_page_that_cannot_be_had_is_a_warning(status: int) -> None:
    finding = of_request(status=status, squid_error="ERR_DNS_FAIL 0")
    assert (finding.status, f"{status} ERR_DNS_FAIL 0" in finding.detail) == (Status.WARN, True)


# ---- its line in the log


def logged(*texts: str, **other: Any) -> Finding:
    logs = {f"/log{number}": text for number, text in enumerate(texts)}
    return chain.access_log(requested(logs=logs, **other))


def line(who: str = WHO, client: str = "10.1.0.50", url: str = "http://www.example.com/") -> str:
    return f"1700000000.123 50 {client} TCP_MISS/200 1500 GET {url} {who} HIER_DIRECT/192.0.2.1 text/html\n"


@pytest.mark.parametrize("who", [WHO, WHO.upper(), "rick.sanchez"])
def test_a_line_with_the_person_is_well(who: str) -> None:
    assert logged(line(who)).detail == f"/log0: {WHO}"


def test_a_log_that_has_the_request_without_the_person_is_a_break_that_names_it() -> None:
    finding = logged(line(), line("-"))
    assert (finding.status, finding.detail) == (Status.FAIL, f"/log1 has the request, without {WHO}")


@pytest.mark.parametrize("texts", [(), ("",), (line("-", client="10.9.9.9"),), (line(url="http://other.example/"),)])
def test_a_log_without_the_request_is_a_break(texts: tuple[str, ...]) -> None:
    finding = logged(*texts)
    assert (finding.status, "no access log got the request" in finding.detail) == (Status.FAIL, True)


def test_a_request_is_found_by_its_person_where_its_address_is_translated_on_the_way() -> None:
    assert logged(line(client="10.9.9.9")).status is Status.OK


def test_a_request_is_found_though_squid_leaves_the_query_out_and_writes_the_host_small() -> None:
    assert logged(line(url="http://www.example.com/p?"), url="http://WWW.example.com/p?secret=1").status is Status.OK


def test_a_log_is_shown_without_what_is_secret_in_it() -> None:
    assert TOKEN[:40] not in repr(logged(line("-") + line(f"- Negotiate {TOKEN}")))


# ---- NTLM


def of_ntlm(*recent: Line, **other: Any) -> Finding:
    return chain.ntlm(asked(), offer(port=8080), journal(recent, **other))


def test_without_ntlm_it_is_told_since_when() -> None:
    assert of_ntlm(*lines("quiet")).detail == "no NTLM token since 1970-01-01 00:25:00 UTC"


@pytest.mark.parametrize("text", [NTLM, NTLM.replace("type 1", "type 3"), "An unsupported mechanism was requested"])
def test_an_ntlm_token_is_a_break_that_tells_how_the_proxy_must_be_set(text: str) -> None:
    finding = of_ntlm(*lines(text))
    assert (finding.status, finding.detail.startswith("1 NTLM token came")) == (Status.FAIL, True)
    assert f"{PROXY}:8080" in told(finding)
    assert f"setspn -Q {SERVICE}" in told(finding)


def test_who_sent_ntlm_is_told_each_once_by_the_time_of_it() -> None:
    knocks = ((2000.4, "10.1.0.7"), (1999.0, "10.1.0.7"), (2001.0, "10.1.0.8"), (1990.0, "10.1.0.9"))
    finding = of_ntlm(*lines(NTLM, NTLM), knocks=knocks)
    assert finding.detail.endswith(", from 10.1.0.7, 10.1.0.8")


def test_ntlm_without_a_time_is_from_nobody_in_particular() -> None:
    assert "from" not in of_ntlm(Line(None, NTLM), knocks=((1.0, "10.1.0.7"),)).detail.partition("time")[2]


# ---- helper processes


def of_children(recent: Any = (), **other: Any) -> Finding:
    return chain.children(children(**other), journal(recent))


def test_helpers_that_are_free_are_counted() -> None:
    assert of_children().detail == "0 of 2 helpers busy, at most 20, 0 requests wait, 3 ms each"


@pytest.mark.parametrize("fault", [{"busy": 20, "running": 20}, {"waiting": 1}, {"busy": 1, "running": 1, "most": 1}])
def test_where_no_helper_is_free_it_is_a_break_with_more_of_them(fault: dict[str, int]) -> None:
    finding = of_children(**fault)
    assert (finding.status, "no helper is free" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize(("most", "wanted"), [(1, 20), (20, 40), (100, 200)])
def test_more_helpers_are_more_than_there_are(most: int, wanted: int) -> None:
    assert f"proxy.helper.children: {wanted} " in told(of_children(lines(BUSY), most=most))


def test_a_warning_of_squid_is_a_break_with_its_words_and_time() -> None:
    finding = of_children(lines(BUSY))
    assert finding.status is Status.FAIL
    assert "WARNING: All 5/5 negotiateauthenticator processes are busy. (at 1970" in finding.detail


@pytest.mark.parametrize("problem", ["", "no manager"])
def test_one_helper_alone_is_a_break_also_where_it_is_idle(problem: str) -> None:
    finding = of_children(most=1, running=1, problem=problem)
    assert (finding.status, "only 1 of them" in finding.detail) == (Status.FAIL, True)


def test_where_squid_does_not_tell_the_limit_of_squid_conf_is_told() -> None:
    finding = chain.children(replace(children(), problem="no manager", busy=99), journal())
    assert (finding.status, finding.detail.startswith("at most 20;")) == (Status.OK, True)
