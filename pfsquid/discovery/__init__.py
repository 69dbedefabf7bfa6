"""Questions to the lake: who uses which SaaS, with or without a sign-in. Meaning is joined here, when asked."""
