"""The clouds of Microsoft Entra: where tokens come from and where Graph answers. Data only.

Sources: the page "Microsoft Graph national cloud deployments" for global, usgov, dod and china; MSAL's list of known
authorities for all; the built-in environments of the Microsoft Graph PowerShell module for bleu, delos and govsg.
Not tried by us: every cloud but the global one. What a cloud's Graph offers is asked of it (`collectors.entra.probe`),
never assumed: the reference pages of sign-ins name the global cloud only, Graph's schema names all but govsg.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Cloud:
    """One cloud. authority, graph: https URLs without a slash at the end. note: whom it is for."""

    name: str
    authority: str
    graph: str
    note: str


_ALL = (
    Cloud("global", "https://login.microsoftonline.com", "https://graph.microsoft.com", "all tenants but those below"),
    Cloud("usgov", "https://login.microsoftonline.us", "https://graph.microsoft.us", "US government L4, GCC High"),
    Cloud("dod", "https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "US government L5, DoD"),
    # login.chinacloudapi.cn stands in older pages; MSAL lists it as deprecated.
    Cloud(
        "china",
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "China, operated by 21Vianet",
    ),
    Cloud("bleu", "https://login.sovcloud-identity.fr", "https://graph.svc.sovcloud.fr", "France, Bleu"),
    Cloud("delos", "https://login.sovcloud-identity.de", "https://graph.svc.sovcloud.de", "Germany, Delos"),
    Cloud("govsg", "https://login.sovcloud-identity.sg", "https://graph.svc.sovcloud.sg", "Singapore, GovSG"),
)

CLOUDS: Mapping[str, Cloud] = MappingProxyType({cloud.name: cloud for cloud in _ALL})
