"""The story of the recording: what the people did from Monday to Friday, 16 to 20 November 2026.

Pure: day and hour in, visits out. rick carries 25 MB to Dropbox in the course of the week, bird.person
8 MB to a site that no catalogue knows, morty pastes into a chat every day, jerry tries what is
blocked, and the workstation itself fetches its updates every hour.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.lab.layout import COMPUTER_ACCOUNT
from tests.lab.scenario import LIKED, everyday
from tests.lab.session import Ask, Visit

DAYS = ("2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20")
HOURS = (8, 9, 11, 13, 15, 16)
MEGABYTE = 1_000_000

# (day, hour) → megabytes; the sums are the story
DROPBOX = {(0, 11): 4, (1, 9): 6, (2, 16): 5, (3, 15): 7, (4, 13): 3}
UNKNOWN_DOMAIN = {(1, 13): 3, (3, 16): 5}
PEOPLE_OF_THE_WEEK = (
    "rick.sanchez",
    "morty.smith",
    "summer.smith",
    "jerry.smith",
    "beth.smith",
    "bird.person",
)


def story(day: int, hour: int) -> dict[str, list[Visit]]:
    """The visits that must happen in this hour, by actor."""
    told: dict[str, list[Visit]] = {}
    if (day, hour) in DROPBOX:
        size = DROPBOX[day, hour] * MEGABYTE
        told["rick.sanchez"] = [
            Visit(
                "www.dropbox.com",
                (Ask("GET", "/bytes/48000"), Ask("POST", "/upload", size // 4)),
                challenge=True,
            ),
            Visit("content.dropboxapi.com", (Ask("POST", "/2/files/upload", size - size // 4),), challenge=True),
        ]
    if hour in (9, 15):
        told["morty.smith"] = [
            Visit(
                "chatgpt.com",
                (
                    Ask("GET", "/bytes/30000"),
                    Ask("POST", "/backend-api/conversation", 18_000 + 700 * day + hour),
                    Ask("GET", "/bytes/9000"),
                ),
                challenge=True,
            )
        ]
    if hour == 11:
        told["summer.smith"] = [
            Visit("slack.com", (Ask("GET", "/bytes/20000"), Ask("POST", "/api/chat", 900)), challenge=True),
            Visit("github.com", (Ask("GET", "/bytes/52000"),), challenge=True),
        ]
    if hour == 13:
        told["jerry.smith"] = [
            Visit("thepiratebay.org", (Ask("GET", f"/search?q={day}"),), tls=False, challenge=True),
            Visit("thepiratebay.org", challenge=True),
        ]
        if day in (1, 4):
            told["jerry.smith"].append(
                Visit("wetransfer.com", (Ask("PUT", "/api/v4/transfers", 2 * MEGABYTE),), challenge=True)
            )
    if hour == 16:
        told["beth.smith"] = [
            Visit(
                "www.salesforce.com",
                (Ask("GET", "/bytes/61000"), Ask("POST", "/services/data", 3_000)),
                challenge=True,
            ),
            Visit("zoom.us", (Ask("GET", "/bytes/700000"), Ask("POST", "/media", 600_000)), challenge=True),
        ]
        if day % 2 == 0:
            told["beth.smith"].append(
                Visit("contoso.sharepoint.com", (Ask("PUT", "/sites/vet/plan.docx", 180_000),), challenge=True)
            )
    if (day, hour) in UNKNOWN_DOMAIN:
        told["bird.person"] = [
            Visit(
                "files.rickscompany.example",
                (Ask("POST", "/drop", UNKNOWN_DOMAIN[day, hour] * MEGABYTE),),
                challenge=True,
            )
        ]
    return told


def hour_of(day: int, hour: int) -> dict[str, list[Visit]]:
    """All visits of an hour: the story, ordinary visits around it, and the workstation's own."""
    plan = {actor: [replace(visit, pause=0.25) for visit in visits] for actor, visits in story(day, hour).items()}
    for actor in PEOPLE_OF_THE_WEEK:
        chance = random.Random(f"week {day} {hour} {actor}")
        if chance.random() < 0.15:
            continue  # in a meeting
        visits = plan.setdefault(actor, [])
        for _ in range(chance.choice((2, 3, 3, 4))):
            host = chance.choice([h for h in LIKED[actor] if "dropbox" not in h and h != "files.rickscompany.example"])
            visits.insert(chance.randrange(len(visits) + 1), everyday(chance, host, upload=6_000, pause=0.8))
    plan[COMPUTER_ACCOUNT] = [
        Visit(
            "ctldl.windowsupdate.com",
            (Ask("HEAD", "/bytes/9000"), Ask("GET", "/bytes/9000")),
            tls=False,
            challenge=True,
            pause=0.3,
        )
    ]
    if hour == HOURS[0]:
        plan[COMPUTER_ACCOUNT].append(
            Visit("login.microsoftonline.com", (Ask("POST", "/common/oauth2/token", 1_500),), challenge=True)
        )
    return plan
