"""pfsquid in AWS: the stack, the collector that runs in Lambda, its package."""
