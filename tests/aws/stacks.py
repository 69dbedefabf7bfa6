"""What tests of the stack need: a cloud that is a MiniStack, a small package of a collector, a stack to be deployed."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pfsquid.aws import credential, deploy, stack
from pfsquid.aws.changes import Change
from pfsquid.cloud import Cloud
from pfsquid.config import Config
from tests.aws.ministack import ACCOUNT, REGION, MiniStack

TEMPLATES = Path(__file__).parents[2] / "templates" / "aws"
TENANT = {"tenant": "contoso.onmicrosoft.com", "client_id": "app", "secret": "env:PFSQUID_TEST_SECRET"}
SECRET = "a-secret-that-must-not-be-seen"


@dataclass
class Deployer:
    """Deploys into a MiniStack. shown: what was shown before each deed; said: what was told during them."""

    server: MiniStack
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    shown: list[list[tuple[int, Change]]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    agrees: bool = True
    cloud: Cloud = field(default_factory=lambda: Cloud(REGION))

    @property
    def config(self) -> Config:
        return Config.model_validate({"collect": {"entra": {"contoso": TENANT}}, **self.settings})

    @property
    def names(self) -> stack.Names:
        return stack.names_of(self.config, ACCOUNT, REGION)

    def __call__(self, code: str | None = "v1", **parameters: str) -> deploy.Outcome:
        """Deploy. code: of the collector, see `package`; None: no collector. parameters: besides the others."""
        tenant = self.config.collect.entra["contoso"] if code else None
        values = stack.parameters(self.names, self.config, tenant, isinstance(self.config.lake, str))
        secrets = credential.wanted(self.names, "contoso", tenant, self.folder) if tenant else {}
        package = self.package(code) if code else None
        wanted = deploy.Wanted(self.names, values | parameters, TEMPLATES, package, secrets)

        def agree(rows: Any) -> bool:
            self.shown.append(list(rows))
            return self.agrees

        return deploy.deploy(self.cloud, wanted, agree, self.said.append)

    def package(self, code: str) -> deploy.Code:
        """Of a collector whose runs return `code`; those of `fails` fail."""
        path = self.folder / f"{code}.zip"
        deed = "raise RuntimeError('Graph is down')" if code == "fails" else f"return {code!r}"
        text = f"def handle(event, context):\n    {deed}\n"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (("__init__", ""), ("aws/__init__", ""), ("aws/handler", text)):
                archive.writestr(zipfile.ZipInfo(f"pfsquid/{name}.py"), content)
        return deploy.Code(path, hashlib.sha256(text.encode()).hexdigest(), "arm64", "3.12")

    def client(self, service: str) -> Any:
        return self.server.client(service)

    def status(self) -> str:
        """Of the stack; '' where there is none."""
        listed = self.client("cloudformation").list_stacks()["StackSummaries"]
        return next((str(one["StackStatus"]) for one in listed if one["StackStatus"] != "DELETE_COMPLETE"), "")

    def waiting(self) -> list[str]:
        """Change sets that nobody executed."""
        listed = self.client("cloudformation").list_change_sets(StackName="pfsquid")["Summaries"]
        return [str(one["ChangeSetName"]) for one in listed if one["ExecutionStatus"] == "AVAILABLE"]

    def actions(self, at: int = -1) -> dict[str, str]:
        """What was shown: the action for each resource."""
        return {change.resource: change.action for _, change in self.shown[at]}


@pytest.fixture
def deployer(ministack: MiniStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployer:
    """Into an emptied MiniStack."""
    for name, value in (*ministack.env.items(), ("PFSQUID_TEST_SECRET", SECRET), ("HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    return Deployer(ministack, tmp_path)
