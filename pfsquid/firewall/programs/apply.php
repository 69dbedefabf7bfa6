// One transaction on the firewall: compare, put files in place, write config.xml once, let pfSense apply it, prove it;
// and put all of it back where the proof fails, also when PHP dies in the middle or nobody is listening any more.
// $in: id, changes (kind, resource, before, after, owner, group, mode), description, proof (address, port, want, seconds),
//      squid (bool), dns (bool), resolver, resume (bool: config.xml is written already, by a run that was cut off).
function pfsquid_same($one, $other) {
	$empty = array(null, '', array());
	return $one === $other || (in_array($one, $empty, true) && in_array($other, $empty, true));
}

function pfsquid_differing($changes, $side) {
	$differing = array();
	foreach ($changes as $change) {
		if ($change['kind'] !== 'file' && !pfsquid_same(pfsquid_get($change['resource']), $change[$side])) {
			$differing[] = $change['resource'];
		}
	}
	return $differing;
}

function pfsquid_write($changes, $side, $description) {
	$touched = 0;
	foreach ($changes as $change) {
		if ($change['kind'] === 'file' || pfsquid_same(pfsquid_get($change['resource']), $change[$side])) {
			continue;
		}
		$touched++;
		if ($change[$side] === null) {
			config_del_path($change['resource']);
		} else {
			config_set_path($change['resource'], $change[$side]);
		}
	}
	if ($touched === 0) {
		return '';
	}
	$written = write_config($description);
	if ($written === -1 || $written === false) {
		return 'config.xml cannot be written';
	}
	pfsquid_fresh();
	$differing = pfsquid_differing($changes, $side);
	return $differing ? 'somebody else wrote config.xml at the same moment: ' . implode(', ', $differing) : '';
}

function pfsquid_place($changes, $id) {
	foreach ($changes as $change) {
		if ($change['kind'] === 'file' && $change['action'] === 'delete') {
			@unlink($change['resource']);
		} elseif ($change['kind'] === 'file' && is_file($change['resource'] . '.' . $id)) {
			if (!@rename($change['resource'] . '.' . $id, $change['resource'])) {
				return "{$change['resource']} cannot be put in place";
			}
		}
	}
	return '';
}

function pfsquid_files_back($changes) {
	foreach ($changes as $change) {
		if ($change['kind'] !== 'file') {
			continue;
		}
		if ($change['before'] !== null) {
			@file_put_contents($change['resource'], base64_decode($change['before']));
			@chmod($change['resource'], $change['mode']);
		} elseif ($change['action'] === 'create') {
			@unlink($change['resource']);
		}
	}
}

function pfsquid_let_it_apply($in) {
	require_once('functions.inc');
	if ($in['dns']) {
		// What the page of the DNS Resolver, or of the Forwarder, does after saving.
		if ($in['resolver'] === 'unbound') {
			require_once('unbound.inc');
			services_unbound_configure(false);
		} else {
			services_dnsmasq_configure(false);
		}
		if (function_exists('clear_subsystem_dirty')) {
			clear_subsystem_dirty($in['resolver'] === 'unbound' ? 'unbound' : 'hosts');
		}
		foreach (array('system_resolvconf_generate', 'system_dhcpleases_configure') as $also) {
			if (function_exists($also)) {
				$also();
			}
		}
	}
	if ($in['squid']) {
		require_once('/usr/local/pkg/squid.inc');
		squid_resync();
	}
}

// want: negotiate (407 with Negotiate, before and after a token that is none), alive (answers at all), nothing.
function pfsquid_prove($proof) {
	if ($proof['want'] === 'nothing') {
		return '';
	}
	$until = microtime(true) + $proof['seconds'];
	do {
		$problem = pfsquid_look($proof);
		if ($problem === '') {
			return '';
		}
		usleep(300000);
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
		usleep(200000);
	}
	return pfsquid_pid() === $pid ? '' : 'Squid was started anew in the middle of the proof: its helpers crash';
}

function pfsquid_back($why) {
	global $in, $pfsquid_stage;
	$stage = $pfsquid_stage;
	$pfsquid_stage = 'done';
	pfsquid_fresh();
	pfsquid_files_back($in['changes']);
	$problem = pfsquid_write($in['changes'], 'before', $in['description'] . ': put back');
	if ($stage === 'applied') {
		try {
			pfsquid_let_it_apply($in);
		} catch (Throwable $error) {
			$problem = $problem ?: 'pfSense could not apply the former settings: ' . $error->getMessage();
		}
	}
	$proof = $in['proof'];
	$proof['want'] = $in['was_alive'] ? 'alive' : 'nothing';
	$problem = $problem ?: pfsquid_prove($proof);
	pfsquid_answer(array('result' => 'rolled back', 'problem' => $why, 'after' => $problem, 'log' => pfsquid_cache_log()));
}

function pfsquid_cache_log() {
	$log = @file_get_contents('/var/squid/logs/cache.log', false, null, max(0, intval(@filesize('/var/squid/logs/cache.log')) - 8192));
	$lines = preg_grep('/FATAL|ERROR|WARNING|Bungled/', explode("\n", strval($log)));
	return preg_replace('#(Negotiate|Basic|token=|YR|KK) *[A-Za-z0-9+/=]{8,}#', '$1 …', array_slice(array_values($lines), -8));
}

function pfsquid_last_rites() {
	global $pfsquid_stage;
	if ($pfsquid_stage !== 'begun' && $pfsquid_stage !== 'done') {
		$error = error_get_last();
		pfsquid_back('PHP died: ' . ($error ? $error['message'] : 'exit'));
	}
}

$pfsquid_stage = 'begun';
$in['was_alive'] = pfsquid_pid() > 0;
register_shutdown_function('pfsquid_last_rites');
$differing = pfsquid_differing($in['changes'], $in['resume'] ? 'after' : 'before');
if ($differing) {
	$pfsquid_stage = 'done';
	pfsquid_answer(array('result' => 'stale', 'problem' => implode(', ', $differing)));
	exit(0);
}
try {
	$pfsquid_stage = 'placing';
	$problem = pfsquid_place($in['changes'], $in['id']);
	if (!$problem) {
		$pfsquid_stage = 'writing';
		$problem = pfsquid_write($in['changes'], 'after', $in['description']);
	}
	if (!$problem) {
		$pfsquid_stage = 'applied';
		pfsquid_let_it_apply($in);
		$problem = pfsquid_prove($in['proof']);
	}
} catch (Throwable $error) {
	$problem = 'pfSense failed: ' . $error->getMessage();
}
if ($problem) {
	pfsquid_back($problem);
	exit(0);
}
$pfsquid_stage = 'done';
pfsquid_answer(array('result' => 'applied', 'problem' => ''));
