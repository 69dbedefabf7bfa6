// What shows that a configuration is live and serves: asked through the LAN address, until it is so or the time is over.
// $proof: address, port, seconds, want: negotiate (407 with Negotiate, before and after a token that is none), alive
// (answers at all) or nothing; block: what must stand in squid.conf, or ''.
function pfsquid_prove($proof) {
	if ($proof['want'] === 'nothing') {
		return '';
	}
	// pfSense tells Squid to read the file anew and does not look whether it could: a file that Squid refuses leaves the
	// old one live, and no Squid after the next boot.
	$problem = pfsquid_parse('/usr/local/etc/squid/squid.conf');
	if ($problem) {
		return $problem;
	}
	if ($proof['block'] !== '' && strpos(strval(file_get_contents('/usr/local/etc/squid/squid.conf')), $proof['block']) === false) {
		return "pfSense did not write pfsquid's block into squid.conf";
	}
	$until = microtime(true) + $proof['seconds'];
	do {
		$problem = pfsquid_look($proof);
		if ($problem === '') {
			return '';
		}
		usleep(100000);
	} while (microtime(true) < $until);
	return $problem;
}

function pfsquid_look($proof) {
	$pid = pfsquid_pid();
	if (!$pid) {
		return 'Squid does not run';
	}
	$plain = pfsquid_request($proof['address'], $proof['port'], '');
	if ($proof['want'] === 'alive') {
		return $plain['status'] ? '' : "Squid does not answer on {$proof['address']}:{$proof['port']}: {$plain['error']}";
	}
	if ($plain['status'] !== 407 || !in_array('Negotiate', $plain['schemes'], true)) {
		return "a request without a ticket got {$plain['status']} (" . implode(', ', $plain['schemes']) . ") where 407 Negotiate was due";
	}
	// A helper that dies at its first token takes all of Squid with it, a moment later.
	$token = 'Proxy-Authorization: Negotiate ' . base64_encode(str_repeat('pfsquid', 8)) . "\r\n";
	for ($try = 0; $try < 3; $try++) {
		$answer = pfsquid_request($proof['address'], $proof['port'], $token);
		if ($answer['status'] !== 407) {
			return "a request with a token that is none got {$answer['status']} where 407 was due: the helper does not work";
		}
		usleep(150000);
	}
	return pfsquid_pid() === $pid ? '' : 'Squid was started anew in the middle of the proof: its helpers crash';
}

function pfsquid_cache_log() {
	$log = @file_get_contents('/var/squid/logs/cache.log', false, null, max(0, intval(@filesize('/var/squid/logs/cache.log')) - 8192));
	$lines = preg_grep('/FATAL|ERROR|WARNING|Bungled/', explode("\n", strval($log)));
	return array_map('pfsquid_redacted', array_slice(array_values($lines), -8));
}
