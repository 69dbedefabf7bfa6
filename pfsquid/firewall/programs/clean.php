// Remove what a run left beside the files: staged ones, the candidate, former ones; and keytabs of ours.
// $in: id (of the run), paths (of the files that it staged), keytabs (paths to remove).
$left = array("/usr/local/etc/squid/squid.conf.{$in['id']}");
foreach ($in['paths'] as $path) {
	$left[] = "$path.{$in['id']}";
	$left[] = "$path.{$in['id']}.old";
}
$removed = array();
foreach (array_merge($left, $in['keytabs']) as $path) {
	if (preg_match('#^(/usr/local/etc/squid/pfsquid-[0-9T]+\.keytab|/[A-Za-z0-9._/-]+\.pfsquid-[0-9]+(\.old)?)$#', $path) && is_file($path)) {
		$removed[$path] = @unlink($path);
	}
}
pfsquid_answer(array('removed' => $removed));
