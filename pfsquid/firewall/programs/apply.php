// One transaction on the firewall: compare, put files in place, write config.xml once, let pfSense apply it, prove it;
// and put all of it back where the proof fails, also when PHP dies in the middle or nobody is listening any more.
// $in: id, changes (kind, resource, action, before, after), description, proof (address, port, want, seconds, block),
//      squid (bool), dns (bool), resolver, mode: apply, resume (config.xml is written already, by a run that was cut off)
//      or undo (the former state: there is nothing to go back to when its proof fails).
function pfsquid_now($change) {
	return $change['kind'] === 'dns' ? pfsquid_list($change['resource']) : pfsquid_get($change['resource']);
}

function pfsquid_same($one, $other) {
	$empty = array(null, '', array());
	return $one === $other || (in_array($one, $empty, true) && in_array($other, $empty, true));
}

function pfsquid_differing($changes, $side) {
	$differing = array();
	foreach ($changes as $change) {
		if ($change['kind'] !== 'file' && !pfsquid_same(pfsquid_now($change), $change[$side])) {
			$differing[] = $change['resource'];
		}
	}
	return $differing;
}

// Write one side of those changes whose field holds the other one; what somebody else wrote meanwhile stays.
function pfsquid_write($changes, $from, $to, $description) {
	global $pfsquid_written;
	$mine = array();
	pfsquid_fresh();
	foreach ($changes as $change) {
		if ($change['kind'] === 'file' || !pfsquid_same(pfsquid_now($change), $change[$from])) {
			continue;
		}
		if (pfsquid_same($change[$from], $change[$to])) {
			continue;
		}
		$mine[] = $change;
		if ($change[$to] === null) {
			config_del_path($change['resource']);
		} else {
			config_set_path($change['resource'], $change[$to]);
		}
	}
	if (!$mine) {
		return '';
	}
	$pfsquid_written = true;
	$written = write_config($description);
	if ($written === -1 || $written === false) {
		$pfsquid_written = false;
		$free = intval(@disk_free_space('/cf/conf'));
		return "config.xml cannot be written ($free bytes are free in /cf/conf)";
	}
	pfsquid_fresh();
	$differing = pfsquid_differing($mine, $to);
	return $differing ? 'somebody else wrote config.xml at the same moment: ' . implode(', ', $differing) : '';
}

// The former file stays beside the new one until all is proved: to go back needs no room on the disk.
function pfsquid_place($changes, $id) {
	foreach ($changes as $change) {
		$path = $change['resource'];
		$new = "$path.$id";
		if ($change['kind'] !== 'file' || ($change['action'] !== 'delete' && !is_file($new))) {
			continue;
		}
		if ($change['action'] === 'delete') {
			$placed = !is_file($path) || @rename($path, "$new.old");
		} else {
			$kept = !is_file($path) || is_file("$new.old") || @link($path, "$new.old");
			$placed = $kept && @rename($new, $path);
		}
		if (!$placed) {
			return "$path cannot be put in place";
		}
	}
	return '';
}

function pfsquid_files_back($changes, $id) {
	foreach ($changes as $change) {
		if ($change['kind'] === 'file' && is_file("{$change['resource']}.$id.old")) {
			@rename("{$change['resource']}.$id.old", $change['resource']);
		}
	}
}

function pfsquid_forget($changes, $id) {
	foreach ($changes as $change) {
		if ($change['kind'] === 'file') {
			@unlink("{$change['resource']}.$id.old");
		}
	}
}

function pfsquid_let_it_apply($in) {
	pfsquid_load('functions.inc');
	if ($in['dns']) {
		// What the page of the DNS Resolver, or of the Forwarder, does after saving.
		if ($in['resolver'] === 'unbound') {
			pfsquid_load('unbound.inc');
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

// The state before this transaction, and nothing of what others did meanwhile. A keytab goes last: until Squid runs
// with the former settings, its helpers may still ask for the new one.
function pfsquid_back($why) {
	global $in, $pfsquid_stage, $pfsquid_written;
	$reached = $pfsquid_stage;
	$touched = $pfsquid_written;
	$pfsquid_stage = 'done';
	$problem = '';
	try {
		$problem = pfsquid_write($in['changes'], 'after', 'before', $in['description'] . ': put back');
	} catch (Throwable $error) {
		$problem = 'config.xml could not be put back: ' . $error->getMessage();
	}
	pfsquid_files_back($in['changes'], $in['id']);
	if ($reached === 'applying') {
		try {
			pfsquid_let_it_apply($in);
		} catch (Throwable $error) {
			$problem = $problem ?: 'pfSense could not apply the former settings: ' . $error->getMessage();
		}
	}
	foreach ($in['changes'] as $change) {
		if (!$problem && $change['kind'] === 'file' && $change['action'] === 'create') {
			@unlink($change['resource']);
		}
	}
	$proof = $in['proof'];
	$proof['want'] = $in['was_alive'] ? 'alive' : 'nothing';
	$proof['block'] = '';
	$problem = $problem ?: pfsquid_prove($proof);
	$result = $touched || $reached === 'applying' ? 'rolled back' : 'refused';
	pfsquid_answer(array('result' => $result, 'problem' => $why, 'after' => $problem, 'log' => pfsquid_cache_log()));
}

function pfsquid_last_rites() {
	global $in, $pfsquid_stage;
	if ($in['mode'] !== 'undo' && !in_array($pfsquid_stage, array('begun', 'done'), true)) {
		$error = error_get_last();
		pfsquid_back('PHP died: ' . ($error ? $error['message'] : 'exit'));
	}
}

$pfsquid_stage = 'begun';
$pfsquid_written = false;
register_shutdown_function('pfsquid_last_rites');
if (!pfsquid_alone(LOCK_EX, 60)) {
	$pfsquid_stage = 'done';
	pfsquid_answer(array('result' => 'refused', 'problem' => 'another pfsquid is at work on this firewall', 'after' => ''));
	exit(0);
}
$in['was_alive'] = pfsquid_pid() > 0;
$differing = pfsquid_differing($in['changes'], $in['mode'] === 'resume' ? 'after' : 'before');
if ($differing) {
	$pfsquid_stage = 'done';
	pfsquid_answer(array('result' => 'stale', 'problem' => implode(', ', $differing)));
	exit(0);
}
try {
	$pfsquid_stage = 'placing';
	$problem = pfsquid_place($in['changes'], $in['id']);
	if (!$problem) {
		$problem = pfsquid_write($in['changes'], 'before', 'after', $in['description']);
	}
	if (!$problem) {
		$pfsquid_stage = 'applying';
		pfsquid_let_it_apply($in);
		$problem = pfsquid_prove($in['proof']);
	}
} catch (Throwable $error) {
	$problem = 'pfSense failed: ' . $error->getMessage();
}
if ($problem && $in['mode'] !== 'undo') {
	pfsquid_back($problem);
	exit(0);
}
$pfsquid_stage = 'done';
pfsquid_forget($in['changes'], $in['id']);
pfsquid_answer(array('result' => 'applied', 'problem' => '', 'after' => $problem));
