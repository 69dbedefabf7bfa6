// Another keytab in the place of the live one, and helpers that read it, without Squid closing its port for a moment:
// `squid -k rotate` ends the helpers as they fall idle and starts others. Put back where the proof fails.
// $in: id (of the staged file beside it), path (of the keytab), proof (address, port, want, seconds, block).
function pfsquid_helpers($path) {
	// The brackets keep the shell that runs this from finding itself.
	$pattern = preg_quote(dirname($path)) . '/[' . basename($path)[0] . ']' . preg_quote(substr(basename($path), 1));
	exec('pgrep -f ' . escapeshellarg($pattern), $pids);
	return array_filter(array_map('intval', $pids));
}

function pfsquid_renew_helpers($path, $seconds) {
	$before = pfsquid_helpers($path);
	exec('/usr/local/sbin/squid -k rotate -f /usr/local/etc/squid/squid.conf 2>&1', $said, $status);
	if ($status !== 0) {
		return 'Squid does not take the signal: ' . substr(implode(' | ', $said), 0, 300);
	}
	$until = microtime(true) + $seconds;
	do {
		usleep(100000);
		$old = array_intersect($before, pfsquid_helpers($path));
	} while ($old && microtime(true) < $until);
	return $old ? count($old) . ' helpers of before still run' : '';
}

// Why it cannot be done at all; '' where it can.
function pfsquid_obstacle($path) {
	if (!preg_match('#^/usr/local/etc/squid/pfsquid-[0-9T]+\.keytab$#', $path)) {
		return "$path is no keytab of pfsquid's";
	}
	if (strpos(strval(@file_get_contents('/usr/local/etc/squid/squid.conf')), " -k $path ") === false) {
		return "squid.conf does not name $path any more";
	}
	return pfsquid_pid() ? '' : 'Squid does not run';
}

function pfsquid_renew($in) {
	$path = $in['path'];
	$new = "$path.{$in['id']}";
	foreach (glob("$path.pfsquid-*") ?: array() as $rest) {
		if ($rest !== $new) {
			@unlink($rest);
		}
	}
	if (!@link($path, "$new.old") || !@rename($new, $path)) {
		@unlink("$new.old");
		return "$path cannot be replaced: " . pfsquid_why();
	}
	$problem = pfsquid_renew_helpers($path, $in['proof']['seconds']) ?: pfsquid_prove($in['proof']);
	if ($problem) {
		@rename("$new.old", $path);
		pfsquid_renew_helpers($path, $in['proof']['seconds']);
	}
	@unlink("$new.old");
	return $problem;
}

$alone = pfsquid_alone(LOCK_EX, 60);
$obstacle = $alone ? pfsquid_obstacle($in['path']) : 'another pfsquid is at work on this firewall';
$problem = $obstacle ?: pfsquid_renew($in);
@unlink("{$in['path']}.{$in['id']}");
pfsquid_answer(array('problem' => $problem, 'touched' => !$obstacle, 'log' => $problem ? pfsquid_cache_log() : array()));
