"""Which sites the people of the lab visit: a standard round for tests, and a week for a recording.

Pure: seed in, visits out, the same for the same seed. `ANONYMOUS` has no ticket.
"""

from __future__ import annotations

import random

from tests.lab.layout import COMPUTER_ACCOUNT, PEOPLE
from tests.lab.session import Ask, Visit

ANONYMOUS = "anonymous"
ACTORS = (*(person.account for person in PEOPLE), COMPUTER_ACCOUNT, ANONYMOUS)
DENIED_SITE = "pastebin.com"

LIKED = {
    "rick.sanchez": ("www.dropbox.com", "content.dropboxapi.com", "github.com", "portal.citadel.example.net"),
    "morty.smith": ("chatgpt.com", "claude.ai", "www.google-analytics.com", "d111111abcdef8.cloudfront.net"),
    "summer.smith": ("slack.com", "app.slack.com", "github.com", "api.github.com", "notion.so"),
    "jerry.smith": ("wetransfer.com", "mail.google.com", "ad.doubleclick.net", "drive.google.com"),
    "beth.smith": ("www.salesforce.com", "zoom.us", "contoso.sharepoint.com", "outlook.office.com"),
    "bird.person": ("files.rickscompany.example", "secret-upload.xyz", "login.microsoftonline.com"),
    "tammy guetermann": ("outlook.office.com", "www.dropbox.com"),
    "renée.palmer": ("xn--caf-dma.example", "www.wikipedia.org"),
    COMPUTER_ACCOUNT: ("windowsupdate.example", "ctldl.windowsupdate.com", "login.microsoftonline.com"),
    ANONYMOUS: ("www.dropbox.com", "chatgpt.com"),
}

# What must occur in every round, whatever the seed: each kind of line that Squid writes.
PECULIAR: dict[str, tuple[Visit, ...]] = {
    "rick.sanchez": (
        Visit("content.dropboxapi.com", (Ask("PUT", "/2/files/upload", 3_000_000),), challenge=True),
        Visit("www.dropbox.com", (Ask("POST", "/upload", 1_234_567), Ask("GET", "/bytes/20000")), tls=False),
        Visit("www.dropbox.com", (Ask("GET", "/long/" + "a" * 1970),), tls=False),
        Visit("www.dropbox.com", (Ask("GET", "/longer/" + "b" * 6960),), tls=False, challenge=True),
        Visit("video.notion.so", (Ask("GET", "/slow/400000"),), tls=False, leave="down"),
        Visit("www.dropbox.com", (Ask("GET", "/odd?port=8080"),), tls=False, port=8080),
    ),
    "morty.smith": (
        Visit(
            "chatgpt.com",
            (
                Ask("POST", "/backend-api/conversation", 2_048),
                Ask("GET", "/bytes/77000"),
                Ask("POST", "/backend-api/conversation", 90_000),
            ),
            challenge=True,
        ),
        Visit("gemini.google.com", (Ask("GET", "/slow/500000"),), leave="tunnel"),
        Visit("www.google-analytics.com", (Ask("GET", "/collect?v=2&tid=G-1&_p=99&q=a%20b"),), tls=False),
        Visit(
            "d111111abcdef8.cloudfront.net",
            (Ask("GET", "/chunked/150000"), Ask("HEAD", "/bytes/150000")),
            tls=False,
        ),
    ),
    "summer.smith": (
        Visit(
            "slack.com",
            tuple(Ask("GET", f"/bytes/{n}") for n in (10, 2000, 30000)),
            tls=False,
            challenge=True,
        ),
        Visit(
            "api.github.com",
            (
                Ask("GET", "/status/404"),
                Ask("GET", "/status/500"),
                Ask("GET", "/status/304"),
                Ask("GET", "/status/204"),
                Ask("GET", "/empty"),
            ),
            tls=False,
        ),
        Visit("app.slack.com", (Ask("GET", "/bytes/5000"),), ipv6=True, challenge=True),
        Visit("six.example", (Ask("GET", "/bytes/1234"),), ipv6=True),
        Visit("fd77::80", (Ask("GET", "/literal"), Ask("GET", "/bytes/99")), tls=False, ipv6=True),
        Visit("fd77::80", (Ask("GET", "/bytes/4000"),)),
    ),
    "jerry.smith": (
        Visit(DENIED_SITE, (Ask("GET", "/raw/abc"),), tls=False),
        Visit(DENIED_SITE, challenge=True),
        Visit(
            "thepiratebay.org",
            (Ask("GET", "/search?q=ball%20fondlers"), Ask("GET", "/again")),
            tls=False,
            challenge=True,
        ),
        Visit("we.tl", (Ask("PUT", "/upload", 800_000),), tls=False, leave="up"),
        Visit("wetransfer.com", port=25),
        Visit("mail.google.com", (Ask("GET", "/"),), tls=False, port=25),
    ),
    "beth.smith": (
        Visit("contoso.sharepoint.com", (Ask("PUT", "/sites/horses/plan.docx", 65_536),), challenge=True),
        Visit("zoom.us", (Ask("GET", "/bytes/1000000"),)),
        Visit("www.salesforce.com", (Ask("GET", "/silent"),), tls=False),
        Visit("zoom.us", (Ask("GET", "/bytes/1"),), port=8443),
        Visit("nowhere.example", (Ask("GET", "/"),), tls=False),
        Visit("nowhere.example"),
        Visit("zoom.us", port=563),
    ),
    "bird.person": (
        Visit("files.rickscompany.example", (Ask("POST", "/drop", 2_000_000),), challenge=True),
        Visit(
            "secret-upload.xyz",
            (Ask("PUT", "/caf%C3%A9/%E2%82%AC.bin", 5_000), Ask("GET", "/naïve/übung?ä=1")),
            tls=False,
        ),
        Visit("Secret-Upload.XYZ", (Ask("GET", "/CaseOfHost"),), tls=False),
    ),
    "renée.palmer": (
        Visit("xn--bcher-kva.example", (Ask("GET", "/caf%C3%A9"),), tls=False),
        Visit("xn--bcher-kva.example", (Ask("GET", "/bytes/300"),), challenge=True),
        Visit("dual.example", (Ask("GET", "/bytes/300"),), tls=False, ipv6=True),
    ),
    "tammy guetermann": (
        Visit(
            "outlook.office.com",
            (Ask("POST", "/owa/service.svc?action=CreateItem", 12_000),),
            tls=False,
            challenge=True,
        ),
    ),
    COMPUTER_ACCOUNT: (
        Visit(
            "ctldl.windowsupdate.com",
            (Ask("HEAD", "/bytes/90000"), Ask("GET", "/bytes/90000")),
            tls=False,
            challenge=True,
        ),
    ),
    ANONYMOUS: (
        Visit("chatgpt.com"),
        Visit("www.dropbox.com", (Ask("GET", "/"),), tls=False),
        Visit("www.dropbox.com", (Ask("POST", "/upload", 0),), tls=False, ipv6=True),
    ),
}


def everyday(chance: random.Random, host: str, *, upload: int = 40_000, pause: float = 0.15) -> Visit:
    """An ordinary visit: mostly TLS, mostly after a 407, some requests on one connection."""
    tls = chance.random() < 0.75
    asks = []
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        if chance.random() < 0.2:
            asks.append(
                Ask(
                    chance.choice(("POST", "PUT")),
                    f"/api/v{chance.randrange(1, 4)}",
                    chance.randrange(upload),
                )
            )
        else:
            asks.append(
                Ask(
                    "GET",
                    f"/bytes/{chance.randrange(200, 60_000)}"
                    + ("" if chance.random() < 0.7 else f"?id={chance.randrange(10**6)}"),
                )
            )
    if not tls and asks[0].method != "GET":
        asks.insert(0, Ask("GET", "/"))
    return Visit(
        host,
        tuple(asks),
        tls=tls,
        challenge=chance.random() < 0.6,
        ipv6=chance.random() < 0.1,
        pause=chance.uniform(0.0, pause),
    )


def standard(seed: int, rounds: int = 1) -> dict[str, list[Visit]]:
    """Each actor's visits, in order."""
    plan: dict[str, list[Visit]] = {}
    for actor in ACTORS:
        chance = random.Random(f"{seed} {actor}")
        visits: list[Visit] = []
        for _ in range(rounds):
            visits += PECULIAR[actor]
            visits += [everyday(chance, chance.choice(LIKED[actor])) for _ in range(6)]
        plan[actor] = visits
    return plan
