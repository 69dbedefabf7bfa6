"""pfsquid: Kerberos single sign-on for Squid on pfSense, complete logs, and the shadow-IT answer that joins them."""

__version__ = "0.1.0"
