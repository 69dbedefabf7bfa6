"""The directory, asked from this machine: every domain controller that can be reached, one login each, reading only."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pfsquid.kerberos.account import Account
from pfsquid.kerberos.check import NotAsked, Waiting
from pfsquid.kerberos.directory import Directory, LdapProblem, Site, connect
from pfsquid.kerberos.facts import Asked, Domain, Ldap, Names, Owners, Refusal
from pfsquid.kerberos.gather_ticket import Refused
from pfsquid.kerberos.ldap_problem import WAY
from pfsquid.secrets import resolve
from pfsquid.settings import DirectorySettings


@dataclass(frozen=True)
class Controllers:
    """Domain controllers that let us in, and what became of all."""

    open: tuple[Directory, ...]
    ldap: Ldap


def controllers(
    asked: Asked, directory: DirectorySettings, folder: Path, names: Names, stack: ExitStack, refused: Refused
) -> Controllers:
    """Log in to each domain controller; after the first refused password no other is tried.

    Raises NotAsked, WrongUse; Waiting where a KDC has refused that password already.
    """
    if directory.user is None or directory.password is None:
        raise NotAsked(
            "the configuration does not say who may ask the directory",
            "directory.user, directory.password    # in pfsquid.yaml: any ordinary account of the domain",
        )
    if directory.user in refused.by_kdc:
        raise Waiting("login")
    user, password = directory.user, resolve(directory.password, folder)
    found: list[Directory] = []
    refusals: dict[str, Refusal] = {}
    for name in asked.ldap_servers or names.ldap_hosts:
        lookup = names.hosts.get(name)
        addresses = [one for one in lookup.records if ":" not in one] or list(lookup.records) if lookup else []
        if not addresses:
            refusals[name] = Refusal("unreachable", f"{name} has no address", ("see dns-kdc",))
        for address in addresses:
            said = refused.of(user)
            if said:
                refusals[name] = said
                break
            site = Site(
                servers=((name, address),), user=user, password=password,
                ca=folder / directory.ca.expanduser() if directory.ca else None, tls=directory.tls,
                port=directory.port, base=directory.base, global_catalog=directory.global_catalog,
            )  # fmt: skip
            try:
                found.append(stack.enter_context(connect(site, name, address)))
                refusals.pop(name, None)
                break
            except LdapProblem as problem:
                refusals[name] = Refusal(problem.kind.value, problem.message, tuple(problem.next))
                if problem.kind.value not in WAY:
                    refused.note(user, refusals[name])
    return Controllers(tuple(found), Ldap(user, tuple(one.name for one in found), refusals))


def owners(asked: Asked, controllers: Controllers) -> Owners:
    """Who has the SPN, and which account is meant to have it."""
    directory = controllers.open[0]
    accounts = directory.owners_of(asked.service)
    service: Account | None = accounts[0] if len(accounts) == 1 else None
    if asked.account:
        service = directory.account(asked.account)
    like = [
        (spn, one.sam)
        for one in directory.accounts_like(asked.proxy)
        for spn in one.spns
        if spn.partition("/")[0].upper() == "HTTP" and spn.lower() != asked.service.lower()
    ]
    where = "the whole forest was searched" if directory.sees_forest else f"{directory.domain} was searched"
    return Owners(accounts, service, where, tuple(like))


def domain(controllers: Controllers, owners: Owners) -> Domain:
    """What each controller has as the service account's kvno, and the policy of the first."""
    policy = controllers.open[0].policy()
    kvnos: dict[str, int | None] = {}
    for directory in controllers.open:
        account = directory.account_at(owners.service.dn) if owners.service else None
        kvnos[directory.name] = account.kvno if account else None
    return Domain(kvnos, policy.now, policy.max_password_age)
