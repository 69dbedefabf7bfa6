// What the firewall is like for Kerberos: reads, tries to open files as Squid's user, runs `squid -v` and `ps`. Changes
// nothing, takes no lock. $in: keytab, helper (paths or null: those in squid.conf), krb5_confs, manager (ask Squid?).
const PFSQUID_CONF = '/usr/local/etc/squid/squid.conf';
const PFSQUID_MOST = 1048576;

// A part that fails leaves null, and a line that says why.
function pfsquid_part($name, $look) {
	global $pfsquid_problems;
	error_clear_last();
	try {
		return $look();
	} catch (Throwable $error) {
		$pfsquid_problems[] = "$name: " . $error->getMessage();
		return null;
	}
}

function pfsquid_state($path, $user, $with_content = false) {
	clearstatcache();
	$stat = @stat($path);
	if (!$stat) {
		return null;
	}
	$owner = posix_getpwuid($stat['uid']);
	$group = posix_getgrgid($stat['gid']);
	$plain = ($stat['mode'] & 0170000) === 0100000;
	$content = $plain && $with_content ? @file_get_contents($path, false, null, 0, PFSQUID_MOST) : false;
	return array(
		'path' => $path,
		'kind' => $plain ? 'file' : (($stat['mode'] & 0170000) === 0040000 ? 'folder' : 'other'),
		'size' => $stat['size'],
		'owner' => $owner ? $owner['name'] : strval($stat['uid']),
		'group' => $group ? $group['name'] : strval($stat['gid']),
		'mode' => $stat['mode'] & 07777,
		'mtime' => $stat['mtime'],
		'inode' => $stat['ino'],
		'squid_reads' => $plain ? pfsquid_opens($path, $user) : null,
		'content' => $content === false ? null : base64_encode($content),
	);
}

// is_readable() asks for the real user's rights; to open it is asked for those at the moment.
function pfsquid_opens($path, $user) {
	return pfsquid_as($user, function () use ($path) {
		$file = @fopen($path, 'rb');
		return $file && fclose($file);
	});
}

// May $user do what $bit says (4 read, 2 write, 1 execute or pass), by owner, group and mode?
function pfsquid_may($path, $user, $bit) {
	$stat = @stat($path);
	if (!$stat || !$user) {
		return null;
	}
	$groups = pfsquid_as($user, 'posix_getgroups') ?? array();
	if ($stat['uid'] === $user['uid']) {
		return ($stat['mode'] >> 6 & $bit) !== 0;
	}
	if ($stat['gid'] === $user['gid'] || in_array($stat['gid'], $groups, true)) {
		return ($stat['mode'] >> 3 & $bit) !== 0;
	}
	return ($stat['mode'] & $bit) !== 0;
}

function pfsquid_folders_above($path) {
	$folders = array();
	for ($at = dirname($path); !in_array($at, $folders, true); $at = dirname($at)) {
		array_unshift($folders, $at);
	}
	return $folders;
}

function pfsquid_keytab($path, $user) {
	$nobody = posix_getpwnam('nobody');
	if ($nobody) {
		$nobody['member'] = 'nobody';
	}
	$file = pfsquid_state($path, $user, true);
	$plain = $file && $file['kind'] === 'file';
	$why = $file ? '' : (is_link($path) ? 'a symbolic link that leads nowhere' : 'no such file');
	return array(
		'path' => $path,
		'file' => $file,
		'problem' => $why,
		'closed' => array_values(array_filter(pfsquid_folders_above($path), function ($folder) use ($user) {
			return pfsquid_may($folder, $user, 1) === false;
		})),
		'squid_reads' => $plain ? $file['squid_reads'] : null,
		'nobody_reads' => $plain ? pfsquid_opens($path, $nobody ?: null) : null,
	);
}

function pfsquid_helper($path, $user) {
	$file = pfsquid_state($path, $user);
	$begin = $file && $file['kind'] === 'file' ? strval(@file_get_contents($path, false, null, 0, 4)) : '';
	return array(
		'path' => $path,
		'file' => $file,
		'kind' => $begin === "\x7fELF" ? 'elf' : (substr($begin, 0, 2) === '#!' ? 'script' : 'other'),
		'runs' => $file && $file['kind'] === 'file' ? pfsquid_may($path, $user, 1) : null,
	);
}

// The words of the negotiate helper's line; quotes as Squid takes them.
function pfsquid_helper_words($conf) {
	$line = preg_replace('/\\\\\r?\n/', ' ', $conf);
	if (!preg_match_all('/^[ \t]*auth_param[ \t]+negotiate[ \t]+program[ \t]+([^\r\n]+)/m', $line, $found)) {
		return array();
	}
	preg_match_all('/"((?:\\\\.|[^"\\\\])*)"|(\S+)/', end($found[1]), $words, PREG_SET_ORDER);
	return array_map(function ($word) {
		return isset($word[2]) ? $word[2] : stripslashes($word[1]);
	}, $words);
}

// Where env is before the helper, what it sets.
function pfsquid_helper_parts($words) {
	$parts = array('helper' => null, 'keytab' => null, 'environment' => array());
	if ($words && basename($words[0]) === 'env') {
		array_shift($words);
		while ($words && preg_match('/^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/', $words[0], $set)) {
			$parts['environment'][$set[1]] = $set[2];
			array_shift($words);
		}
	}
	$parts['helper'] = array_shift($words);
	foreach ($words as $at => $word) {
		if (substr($word, 0, 2) === '-k') {
			$parts['keytab'] = strlen($word) > 2 ? substr($word, 2) : ($words[$at + 1] ?? null);
		}
	}
	$parts['keytab'] = $parts['keytab'] ?? $parts['environment']['KRB5_KTNAME'] ?? null;
	if ($parts['keytab'] !== null) {
		$parts['keytab'] = preg_replace('/^(WR)?FILE:/', '', $parts['keytab']);
	}
	return $parts;
}

// The files of MIT Kerberos and what they include, as its profile library does (krb5.conf(5)).
function pfsquid_krb5($paths, $user) {
	$found = array();
	while ($paths && count($found) < 50) {
		$path = array_shift($paths);
		if (array_key_exists($path, $found)) {
			continue;
		}
		$found[$path] = pfsquid_state($path, $user, true);
		$text = base64_decode(strval($found[$path]['content'] ?? ''));
		preg_match_all('/^(include|includedir)[ \t]+(\S+)[ \t\r]*$/m', $text, $lines, PREG_SET_ORDER);
		foreach ($lines as $line) {
			$names = $line[1] === 'include' ? array() : (@scandir($line[2]) ?: array());
			$names = preg_grep('/^([A-Za-z0-9_-]+|[^.].*\.conf)$/', $names);
			array_push($paths, ...($line[1] === 'include' ? array($line[2]) : array_map(function ($name) use ($line) {
				return rtrim($line[2], '/') . "/$name";
			}, array_values($names))));
		}
	}
	return $found;
}

// Squid, all below it, helpers that lost their Squid, and resolvers: dnsmasq has its overrides on its command line. A
// command is sent whole where it can hold no password.
function pfsquid_processes($pid, $helper) {
	$now = microtime(true);
	$all = array();
	$words = array('/bin/ps', '-axww', '-o', 'pid=', '-o', 'ppid=', '-o', 'uid=', '-o', 'etime=', '-o', 'command=');
	foreach (explode("\n", pfsquid_says($words, 5, 4 * PFSQUID_MOST)) as $line) {
		if (preg_match('/^ *(\d+) +(\d+) +(\d+) +(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+) +(.*)$/', $line, $is)) {
			$user = posix_getpwuid(intval($is[3]));
			$age = ((intval($is[4]) * 24 + intval($is[5])) * 60 + intval($is[6])) * 60 + intval($is[7]);
			$all[intval($is[1])] = array(
				'pid' => intval($is[1]),
				'parent' => intval($is[2]),
				'user' => $user ? $user['name'] : $is[3],
				'started' => $now - $age,
				'command' => $is[8],
			);
		}
	}
	$mine = array();
	foreach ($all as $id => $one) {
		$is_helper = $helper !== null && preg_match('#(^|[/(])' . preg_quote(basename($helper), '#') . '\)?( |$)#', $one['command']);
		for ($at = $id, $steps = 0; $at !== $pid && isset($all[$at]) && $steps < 9; $steps++) {
			$at = $all[$at]['parent'];
		}
		$is_known = $is_helper || preg_match('#^(\(squid-|\S*/(squid|unbound|dnsmasq)( |$))#', $one['command']);
		if ($is_known || ($pid && $at === $pid)) {
			$one['command'] = $is_known ? $one['command'] : strtok($one['command'], ' ');
			$mine[$id] = $one;
		}
	}
	return $mine;
}

// The cache manager's page, as text; or why there is none. The package lets 127.0.0.1 alone ask for it.
function pfsquid_manager($conf) {
	preg_match_all('/^[ \t]*http_port[ \t]+(?:(\S+):)?(\d+)(?:[ \t]+([^\r\n]*))?\r?$/m', $conf, $ports, PREG_SET_ORDER);
	$at = array();
	foreach ($ports as $port) {
		if (!preg_match('/\b(intercept|tproxy|accel|transparent)\b/', $port[3] ?? '')) {
			$at[] = array($port[1] === '' ? '127.0.0.1' : $port[1], intval($port[2]));
		}
	}
	if (!$at) {
		return array(null, 'squid.conf has no http_port to ask at');
	}
	$first = intval($ports[0][2]);
	$local = array_values(array_filter($at, function ($one) {
		return $one[0] === '127.0.0.1' || $one[0] === '[::1]';
	}));
	list($address, $port) = $local ? $local[0] : $at[0];
	$host = (pfsquid_directive($conf, 'visible_hostname') ?? gethostname()) . ":$first";
	$problem = '';
	// Squid 4 knows its own scheme only.
	foreach (array("http://$host/squid-internal-mgr/", "cache_object://$address/") as $before) {
		list($status, $text) = pfsquid_page($address, $port, $host, "{$before}negotiateauthenticator");
		if ($status === 200) {
			return array(pfsquid_redacted($text), ''); // it shows what a helper was asked last
		}
		$problem = $problem ?: "$address:$port: " . ($status ? "Squid answered $status" : $text);
	}
	return array(null, $problem);
}

function pfsquid_page($address, $port, $host, $url) {
	$socket = @stream_socket_client("tcp://$address:$port", $number, $why, 2);
	if (!$socket) {
		return array(0, $why);
	}
	stream_set_timeout($socket, 3);
	fwrite($socket, "GET $url HTTP/1.0\r\nHost: $host\r\nAccept: text/plain\r\nConnection: close\r\n\r\n");
	$whole = strval(stream_get_contents($socket, PFSQUID_MOST));
	fclose($socket);
	$parts = explode("\r\n\r\n", $whole, 2);
	$is = preg_match('#^HTTP/\d\.\d (\d{3})#', $parts[0], $status);
	return array($is ? intval($status[1]) : 0, $is ? ($parts[1] ?? '') : 'no answer');
}

// The end of cache.log: whole lines, tokens out.
function pfsquid_end_of($path, $user, $most) {
	$file = pfsquid_state($path, $user);
	if (!$file || $file['kind'] !== 'file') {
		return $file;
	}
	$from = max(0, $file['size'] - $most);
	$text = strval(@file_get_contents($path, false, null, $from, $most));
	if ($from > 0) {
		$line = strpos($text, "\n");
		$text = $line === false ? '' : substr($text, $line + 1);
	}
	return array('content' => base64_encode(pfsquid_redacted($text))) + $file;
}

function pfsquid_addresses() {
	$addresses = array();
	foreach (function_exists('net_get_interfaces') ? (net_get_interfaces() ?: array()) : array() as $interface) {
		foreach ($interface['unicast'] ?? array() as $one) {
			$addresses[] = $one['address'] ?? null;
		}
	}
	return array_values(array_unique(array_filter($addresses)));
}

$answer = array('clock' => microtime(true));
$pfsquid_problems = array();
$raw = is_file(PFSQUID_CONF) ? strval(@file_get_contents(PFSQUID_CONF, false, null, 0, PFSQUID_MOST)) : '';
$user = pfsquid_part('user', function () use ($raw) {
	return pfsquid_squids_user($raw);
});
$settings = pfsquid_part('config.xml', function () {
	return pfsquid_settings('/cf/conf/config.xml');
});
$told = is_array($settings) ? pfsquid_part('settings', function () use ($settings) {
	return pfsquid_told_by_settings($settings);
}) : null;

$words = pfsquid_helper_words($raw);
$parts = pfsquid_helper_parts($words);
$helper = $in['helper'] ?? $parts['helper'];
$keytab = $in['keytab'] ?? $parts['keytab'];
$pid = pfsquid_pid();
$processes = pfsquid_part('ps', function () use ($pid, $helper) {
	return pfsquid_processes($pid, $helper);
}) ?? array();
$pid = isset($processes[$pid]) && preg_match('#(^|/|\()squid#', $processes[$pid]['command']) ? $pid : 0;
$version = explode("\n", pfsquid_says(array('/usr/local/sbin/squid', '-v'), 10, 65536));
$conf = pfsquid_state(PFSQUID_CONF, $user);
if ($conf) {
	$conf['content'] = base64_encode(pfsquid_without_secrets($raw));
}
$worker = array_values(array_filter($processes, function ($one) {
	return strpos($one['command'], '(squid-') === 0;
}));
$no_page = $in['manager'] ? ($pid ? ($words ? '' : 'squid.conf names no Negotiate helper') : 'Squid does not run') : 'not asked';
$page = null;
if ($no_page === '') {
	list($page, $no_page) = pfsquid_part('manager', function () use ($raw) {
		return pfsquid_manager($raw);
	}) ?? array(null, 'the question failed');
}
$log = pfsquid_directive($raw, 'cache_log') ?? '/var/squid/logs/cache.log';
$folder = dirname($log);
$confs = $parts['environment']['KRB5_CONFIG'] ?? '';
$krb5 = $confs === '' ? $in['krb5_confs'] : explode(':', $confs);
$logs = array();
foreach (array("$folder/access.log", "$folder/pfsquid.log") as $path) {
	$logs[$path] = pfsquid_state($path, $user);
}
$resolver_files = array();
foreach (array('/var/unbound/domainoverrides.conf', '/var/unbound/host_entries.conf', '/usr/local/etc/dnsmasq.conf', '/etc/resolv.conf') as $path) {
	$file = pfsquid_state($path, null, true);
	if ($file) {
		$resolver_files[$path] = $file;
	}
}
$answer += array(
	'release' => trim(strval(@file_get_contents('/etc/version'))),
	'php' => PHP_VERSION,
	'hostname' => gethostname(),
	'addresses' => pfsquid_part('addresses', 'pfsquid_addresses') ?? array(),
	'settings' => $told,
	'settings_problem' => is_string($settings) ? $settings : '',
	'resolver_files' => $resolver_files,
	'squid' => array(
		'version' => trim($version[0]),
		'negotiate' => $version[0] === '' ? null : (bool) preg_match('/--enable-auth-negotiate/', implode("\n", $version)),
		'conf' => $conf,
		'pid' => $pid,
		'started' => $pid ? $processes[$pid]['started'] : null,
		'user' => $user ? $user['name'] : strval(pfsquid_directive($raw, 'cache_effective_user') ?? 'squid'),
		'group' => $user ? (posix_getgrgid($user['gid'])['name'] ?? strval($user['gid'])) : '',
		'user_exists' => $user !== null,
		'running_as' => $worker ? $worker[0]['user'] : null,
		'processes' => array_values($processes),
		'manager' => $page,
		'manager_problem' => $no_page,
	),
	'helper' => $helper === null ? null : pfsquid_part('helper', function () use ($helper, $user) {
		return pfsquid_helper($helper, $user);
	}),
	'keytab' => $keytab === null ? null : pfsquid_part('keytab', function () use ($keytab, $user) {
		return pfsquid_keytab($keytab, $user);
	}),
	'krb5' => pfsquid_part('krb5.conf', function () use ($krb5, $user) {
		return pfsquid_krb5($krb5, $user);
	}) ?? array(),
	'cache_log' => pfsquid_part('cache.log', function () use ($log, $user) {
		return pfsquid_end_of($log, $user, 262144);
	}),
	'logs' => $logs,
	'log_space' => is_dir($folder) ? intval(disk_free_space($folder)) : null,
	'var_tmp' => pfsquid_state('/var/tmp', $user),
	'var_tmp_writable' => is_dir('/var/tmp') ? pfsquid_may('/var/tmp', $user, 2) : null,
	'replay' => $user ? pfsquid_state("/var/tmp/krb5_{$user['uid']}.rcache2", $user) : null,
	'problems' => $pfsquid_problems,
);
$answer['clock_end'] = microtime(true);
pfsquid_answer($answer);
