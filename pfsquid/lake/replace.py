"""Some files of a table give way to others, in one commit; the manifests that say so are merged on the way.

pyiceberg's `overwrite` leaves a manifest for each append; this is the same with fewer of them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _OverwriteFiles

MANIFESTS = 10  # so many may be; more are merged by the next commit of this kind
_ENTRIES = 20_000  # in a manifest: some 5 MB


def replace_files(
    table: Table,
    gone: Iterable[DataFile],
    new: Iterable[DataFile],
    properties: Mapping[str, str | None] | None = None,
) -> None:
    """Commit: `gone` are no more part of the table, `new` are, `properties` are set (None: removed).

    Raises ValidationException where one of `gone` is not there any more, CommitFailedException where another commit
    came first. Neither leaves anything changed.
    """
    given = properties or {}
    with table.transaction() as tx:
        with _Replace(
            operation=Operation.OVERWRITE if table.current_snapshot() else Operation.APPEND,
            transaction=tx,
            io=table.io,
            snapshot_properties={"pfsquid.care": "true"},
        ) as update:
            for file in gone:
                update.delete_data_file(file)
            for file in new:
                update.append_data_file(file)
        if put := {key: value for key, value in given.items() if value is not None}:
            tx.set_properties(put)
        if away := [key for key, value in given.items() if value is None and key in table.properties]:
            tx.remove_properties(*away)


def manifests(table: Table) -> int:
    """How many manifests the newest snapshot has."""
    snapshot = table.current_snapshot()
    return len(snapshot.manifests(table.io)) if snapshot else 0


class _Replace(_OverwriteFiles):
    """`overwrite` that writes what remains of the manifests it touches, and of all where they are many, as one."""

    def _existing_manifests(self) -> list[ManifestFile]:
        snapshot = self._transaction.table_metadata.snapshot_by_name(name=self._target_branch or "main")
        there = snapshot.manifests(io=self._io) if snapshot else []
        few = len(there) <= MANIFESTS
        kept: list[ManifestFile] = []
        loose: dict[int, list[ManifestEntry]] = {}
        for manifest in there:
            if manifest.content == ManifestContent.DELETES:
                kept.append(manifest)
                continue
            entries = manifest.fetch_manifest_entry(io=self._io, discard_deleted=True)
            left = [entry for entry in entries if entry.data_file not in self._deleted_data_files]
            if left and len(left) == len(entries) and (few or len(left) >= _ENTRIES // 2):
                kept.append(manifest)
            else:
                loose.setdefault(manifest.partition_spec_id, []).extend(left)
        merged = [
            self._written(spec_id, entries[start : start + _ENTRIES])
            for spec_id, entries in loose.items()
            for start in range(0, len(entries), _ENTRIES)
        ]
        return merged + kept

    def _written(self, spec_id: int, entries: list[ManifestEntry]) -> ManifestFile:
        with self.new_manifest_writer(self.spec(spec_id)) as writer:
            for entry in entries:
                writer.add_entry(
                    ManifestEntry.from_args(
                        status=ManifestEntryStatus.EXISTING,
                        snapshot_id=entry.snapshot_id,
                        sequence_number=entry.sequence_number,
                        file_sequence_number=entry.file_sequence_number,
                        data_file=entry.data_file,
                    )
                )
        return writer.to_manifest_file()
