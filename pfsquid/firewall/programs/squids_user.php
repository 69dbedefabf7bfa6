// Squid's user as Squid itself is it, and programs started without a shell.
// By squid.conf: with cache_effective_group Squid has that group alone; without it, those of the user.
function pfsquid_squids_user($conf) {
	$name = pfsquid_directive($conf, 'cache_effective_user') ?? 'squid';
	$user = posix_getpwnam($name);
	$group = pfsquid_directive($conf, 'cache_effective_group');
	$found = $group === null ? false : posix_getgrnam($group);
	if (!$user || ($group !== null && !$found)) {
		return null;
	}
	return array(
		'name' => $name,
		'uid' => $user['uid'],
		'gid' => $found ? $found['gid'] : $user['gid'],
		// initgroups() with a name that nobody can have leaves the one group that is given with it.
		'member' => $found ? 'nobody:at:all' : $name,
	);
}

// The value of the last line of a directive: the one that Squid goes by.
function pfsquid_directive($conf, $name) {
	return preg_match_all('/^[ \t]*' . preg_quote($name, '/') . '[ \t]+([^\r\n]+)/m', $conf, $found)
		? trim(end($found[1])) : null;
}

// What $look returns while this process has the rights of $user; null where it cannot have them.
function pfsquid_as($user, $look) {
	if (!$user || posix_getuid() !== 0) {
		return null;
	}
	posix_initgroups($user['member'], $user['gid']);
	posix_setegid($user['gid']);
	$is = posix_seteuid($user['uid']) && posix_geteuid() === $user['uid'];
	try {
		return $is ? $look() : null;
	} finally {
		posix_seteuid(0);
		posix_setegid(0);
		posix_initgroups('root', 0);
	}
}

// Become $user for good.
function pfsquid_become($user) {
	posix_initgroups($user['member'], $user['gid']);
	posix_setgid($user['gid']);
	posix_setuid($user['uid']);
	return posix_getuid() === $user['uid'] && posix_geteuid() === $user['uid'] && posix_getegid() === $user['gid'];
}

// What a program prints, at most $limit bytes within $seconds; '' where it does not start. No shell, no input.
function pfsquid_says($words, $seconds, $limit) {
	$spec = array(array('file', '/dev/null', 'r'), array('pipe', 'w'), array('file', '/dev/null', 'w'));
	$process = is_executable($words[0]) ? @proc_open($words, $spec, $pipes, '/', array('PATH' => '/bin:/usr/bin', 'LC_ALL' => 'C')) : false;
	if (!is_resource($process)) {
		return '';
	}
	stream_set_blocking($pipes[1], false);
	$said = '';
	$until = microtime(true) + $seconds;
	while (!feof($pipes[1]) && strlen($said) < $limit && microtime(true) < $until) {
		$read = array($pipes[1]);
		$none = null;
		if (@stream_select($read, $none, $none, 0, 100000)) {
			$said .= fread($pipes[1], 65536);
		}
	}
	@proc_terminate($process, 9);
	fclose($pipes[1]);
	proc_close($process);
	return substr($said, 0, $limit);
}
