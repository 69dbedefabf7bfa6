"""The commands for who may not, or will not, let pfsquid make the account: filled in, in the order that matters. Pure.

Sources: Microsoft's reference of `ktpass` (parameters; /princ tells upper from lower case; {-|+}setupn, {-|+}setpass),
of `setspn` (-S looks for duplicates first) and of `Set-ADUser -KerberosEncryptionType`; `samba-tool` and `net` of Samba
4.17, run as they stand here against a domain controller of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pfsquid.kerberos.principal import Principal

_BARE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/@")


@dataclass(frozen=True)
class Offline:
    """What the commands are filled in with. container: DN, None for the domain's CN=Users."""

    spn: Principal
    sam: str
    container: str | None = None
    keytab: str = "squid.keytab"

    @property
    def service(self) -> str:
        """The SPN without realm: service in capitals, host in small letters."""
        return f"HTTP/{self.spn.components[-1].lower()}"

    @property
    def princ(self) -> str:
        """The principal, with the realm in capitals."""
        return f"{self.service}@{self.spn.realm.upper()}"


_TEXT = """\
# A keytab for {princ}, made by a domain administrator
#
# On Windows, in PowerShell:

setspn -Q {service}
New-ADUser -Name {ps_sam} -SamAccountName {ps_sam} -Path {ps_folder} -AccountPassword (Read-Host -AsSecureString) \
-Enabled $true -PasswordNeverExpires $true
Set-ADUser {ps_sam} -KerberosEncryptionType AES128,AES256
setspn -S {service} {sam}
ktpass /princ {princ} /mapuser {sam} /crypto AES256-SHA1 /ptype KRB5_NT_PRINCIPAL /pass * /out {keytab}
Get-ADUser {ps_sam} -Properties msDS-KeyVersionNumber,msDS-SupportedEncryptionTypes,servicePrincipalName

# Or on a Samba domain controller, as root:

samba-tool user create {sh_sam} --random-password{sh_folder}
samba-tool user setexpiry {sh_sam} --noexpiry
net ads enctypes set {sh_sam} 24 -U Administrator
samba-tool spn add {service} {sh_sam}
samba-tool domain exportkeytab {sh_keytab} --principal={princ}

# Mind:
#
# - setspn -Q must find nobody, or this account alone. With an SPN on two accounts nobody gets a ticket.
# - The order: encryption types, then the SPN, then ktpass, which sets the password.
# - Each run of ktpass sets the password anew and raises the kvno: a keytab of before is worthless then, and so is this
#   one after the next reset of the password.
# - ktpass sets the account's UPN to {princ}. The salt of keys follows the UPN:
#   do not set it back afterwards, and make no key from the password by other means.
# - /princ is taken as it is written: HTTP in capitals, the host in small letters, the realm in capitals.
# - Leave /kvno out. The keytab needs the account's own kvno (msDS-KeyVersionNumber): Squid's helper goes by it.
# - One encryption type per run. AES256-SHA1 is enough: the account allows AES alone, and tickets take the best that
#   there is. /crypto All would add RC4 and DES.
# - Where /pass * asks, give 40 random characters or more; nobody needs to know them later.
# - {keytab} is as good as the password: copy it over SSH, delete it there, keep it with mode 0600.

# Afterwards, here:

pfsquid keytab show {sh_keytab}
pfsquid configure
pfsquid verify-kerberos
"""


def text(wanted: Offline) -> str:
    """All commands, to paste from, with what goes wrong with them as comments."""
    domain = ",".join(f"DC={part}" for part in wanted.spn.realm.lower().split("."))
    below = ""
    if wanted.container and wanted.container.lower().endswith(f",{domain.lower()}"):
        below = wanted.container[: -len(domain) - 1]  # samba-tool takes the folder relative to the domain
    return _TEXT.format(
        princ=wanted.princ,
        service=wanted.service,
        sam=_quoted(wanted.sam),
        ps_sam=_shell(wanted.sam),
        ps_folder=_shell(wanted.container or f"CN=Users,{domain}"),
        sh_sam=_posix(wanted.sam),
        sh_folder=f" --userou={_posix(below)}" if below else "",
        sh_keytab=_posix(wanted.keytab),
        keytab=_quoted(wanted.keytab),
    ).rstrip()


def _quoted(text: str) -> str:
    """A word for setspn and ktpass, in cmd and PowerShell; a sAMAccountName has no quotes in it ([MS-ADA3])."""
    return text if set(text) <= _BARE else f'"{text}"'


def _shell(text: str) -> str:
    """A word of PowerShell."""
    return text if set(text) <= _BARE and not text.startswith("@") else "'" + text.replace("'", "''") + "'"


def _posix(text: str) -> str:
    """A word of sh."""
    return text if set(text) <= _BARE else "'" + text.replace("'", "'\\''") + "'"
