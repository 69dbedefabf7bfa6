// Remove what staging left behind, and keytabs of ours that nothing refers to any more.
// $in: staged (paths), keytabs (paths to remove).
$removed = array();
foreach (array_merge($in['staged'], $in['keytabs']) as $path) {
	if (preg_match('#^(/usr/local/etc/squid/pfsquid-[0-9A-Za-z-]+\.keytab(\.[0-9a-z-]+)?|/[A-Za-z0-9._/-]+\.pfsquid-[0-9a-f]+)$#', $path) && is_file($path)) {
		$removed[$path] = @unlink($path);
	}
}
pfsquid_answer(array('removed' => $removed));
