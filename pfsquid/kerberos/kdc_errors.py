"""What a KDC answers instead of a ticket (RFC 4120 5.9.1, 7.5.9), and that it answers nothing. Pure."""

from __future__ import annotations

from datetime import datetime

C_PRINCIPAL_UNKNOWN, S_PRINCIPAL_UNKNOWN, ETYPE_NOSUPP, CLIENT_REVOKED = 6, 7, 14, 18
KEY_EXPIRED, PREAUTH_FAILED, PREAUTH_REQUIRED, SKEW = 23, 24, 25, 37
RESPONSE_TOO_BIG, WRONG_REALM = 52, 68

# RFC 4120 7.5.9; 62 to 76 RFC 4556 and 5349, 85 and up RFC 6806 and 6113
_NAMES = {
    1: "KDC_ERR_NAME_EXP",
    2: "KDC_ERR_SERVICE_EXP",
    3: "KDC_ERR_BAD_PVNO",
    4: "KDC_ERR_C_OLD_MAST_KVNO",
    5: "KDC_ERR_S_OLD_MAST_KVNO",
    C_PRINCIPAL_UNKNOWN: "KDC_ERR_C_PRINCIPAL_UNKNOWN",
    S_PRINCIPAL_UNKNOWN: "KDC_ERR_S_PRINCIPAL_UNKNOWN",
    8: "KDC_ERR_PRINCIPAL_NOT_UNIQUE",
    9: "KDC_ERR_NULL_KEY",
    10: "KDC_ERR_CANNOT_POSTDATE",
    11: "KDC_ERR_NEVER_VALID",
    12: "KDC_ERR_POLICY",
    13: "KDC_ERR_BADOPTION",
    ETYPE_NOSUPP: "KDC_ERR_ETYPE_NOSUPP",
    15: "KDC_ERR_SUMTYPE_NOSUPP",
    16: "KDC_ERR_PADATA_TYPE_NOSUPP",
    17: "KDC_ERR_TRTYPE_NOSUPP",
    CLIENT_REVOKED: "KDC_ERR_CLIENT_REVOKED",
    19: "KDC_ERR_SERVICE_REVOKED",
    20: "KDC_ERR_TGT_REVOKED",
    21: "KDC_ERR_CLIENT_NOTYET",
    22: "KDC_ERR_SERVICE_NOTYET",
    KEY_EXPIRED: "KDC_ERR_KEY_EXPIRED",
    PREAUTH_FAILED: "KDC_ERR_PREAUTH_FAILED",
    PREAUTH_REQUIRED: "KDC_ERR_PREAUTH_REQUIRED",
    26: "KDC_ERR_SERVER_NOMATCH",
    27: "KDC_ERR_MUST_USE_USER2USER",
    28: "KDC_ERR_PATH_NOT_ACCEPTED",
    29: "KDC_ERR_SVC_UNAVAILABLE",
    31: "KRB_AP_ERR_BAD_INTEGRITY",
    32: "KRB_AP_ERR_TKT_EXPIRED",
    33: "KRB_AP_ERR_TKT_NYV",
    34: "KRB_AP_ERR_REPEAT",
    35: "KRB_AP_ERR_NOT_US",
    36: "KRB_AP_ERR_BADMATCH",
    SKEW: "KRB_AP_ERR_SKEW",
    38: "KRB_AP_ERR_BADADDR",
    39: "KRB_AP_ERR_BADVERSION",
    40: "KRB_AP_ERR_MSG_TYPE",
    41: "KRB_AP_ERR_MODIFIED",
    42: "KRB_AP_ERR_BADORDER",
    44: "KRB_AP_ERR_BADKEYVER",
    45: "KRB_AP_ERR_NOKEY",
    46: "KRB_AP_ERR_MUT_FAIL",
    47: "KRB_AP_ERR_BADDIRECTION",
    48: "KRB_AP_ERR_METHOD",
    49: "KRB_AP_ERR_BADSEQ",
    50: "KRB_AP_ERR_INAPP_CKSUM",
    51: "KRB_AP_PATH_NOT_ACCEPTED",
    RESPONSE_TOO_BIG: "KRB_ERR_RESPONSE_TOO_BIG",
    60: "KRB_ERR_GENERIC",
    61: "KRB_ERR_FIELD_TOOLONG",
    62: "KDC_ERR_CLIENT_NOT_TRUSTED",
    63: "KDC_ERR_KDC_NOT_TRUSTED",
    64: "KDC_ERR_INVALID_SIG",
    65: "KDC_ERR_KEY_TOO_WEAK",
    66: "KDC_ERR_CERTIFICATE_MISMATCH",
    67: "KRB_AP_ERR_NO_TGT",
    WRONG_REALM: "KDC_ERR_WRONG_REALM",
    69: "KRB_AP_ERR_USER_TO_USER_REQUIRED",
    90: "KDC_ERR_PREAUTH_EXPIRED",
    91: "KDC_ERR_MORE_PREAUTH_DATA_REQUIRED",
    93: "KDC_ERR_UNKNOWN_CRITICAL_FAST_OPTIONS",
}


class NoKdc(Exception):  # noqa: N818 - reads as what it is
    """There is no KDC there: unreachable, closed, silent, or what it answers is no Kerberos; the text tells which."""


class KdcError(Exception):
    """An error that the KDC answered (KRB-ERROR).

    code, name: RFC 4120 7.5.9; text: its e-text, '' where it has none; server_time: the KDC's clock, UTC, with
    microseconds; data: its e-data.
    """

    def __init__(self, code: int, text: str = "", server_time: datetime | None = None, data: bytes = b"") -> None:
        self.code, self.name, self.text = code, _NAMES.get(code, f"error {code}"), text
        self.server_time, self.data = server_time, data
        super().__init__(f"{self.name} ({code})" + (f": {text}" if text else ""))


class WrongRealm(KdcError):  # noqa: N818 - reads as what it is
    """What was asked for is in another realm (KDC_ERR_WRONG_REALM, or a referral). realm: which, '' if not said."""

    def __init__(self, text: str, realm: str, server_time: datetime | None = None) -> None:
        super().__init__(WRONG_REALM, text, server_time)
        self.realm = realm
