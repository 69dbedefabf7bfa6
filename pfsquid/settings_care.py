"""What a configuration may say of the care of the lake: how few its files are, how long what is kept. Reads no file."""

from __future__ import annotations

from pydantic import Field

from pfsquid.settings import Duration, Section

MB = 1_000_000
DAY = 86400.0


class CompactSettings(Section):
    """When small files become large ones. files: of one size class (a power of this number, by rows) in a day before
    they are merged. file_size: MB that a compacted file has at most. quiet: seconds without new rows until a day that
    is over is compacted whole, and until the rollup of any day is made anew."""

    files: int = Field(default=10, ge=2, le=1000)
    file_size: int = Field(default=256, ge=1, le=4096)
    quiet: Duration = Field(default=1800.0, ge=0)


class ExpireSettings(Section):
    """How long what no question reads stays, in seconds. snapshots: earlier states of a table. orphans: files that no
    commit names. positions: of logs that were not read any more."""

    snapshots: Duration = Field(default=3600.0, ge=0)
    orphans: Duration = Field(default=DAY, ge=60)
    positions: Duration = Field(default=400 * DAY, ge=DAY)


class RetentionSettings(Section):
    """After how many seconds a whole day of a table is deleted; never where None. `usage` follows `proxy`."""

    proxy: Duration | None = Field(default=None, ge=DAY)
    signins: Duration | None = Field(default=None, ge=DAY)
    audits: Duration | None = Field(default=None, ge=DAY)


class CareSettings(Section):
    """The care of the lake. every: seconds from one time to the next, under `pfsquid run`."""

    every: Duration = Field(default=600.0, ge=10)
    compact: CompactSettings = Field(default_factory=CompactSettings)
    expire: ExpireSettings = Field(default_factory=ExpireSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
