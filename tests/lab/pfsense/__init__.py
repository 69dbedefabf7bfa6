"""The lab's firewall as pfSense: what stands in for its PHP, its shells and its Squid package (see README.md)."""
