// Put files beside their places, and try the candidate: squid.conf by Squid's own parser, the keytab by the helper as
// Squid's user. What is live stays untouched.
// $in: id, files (path, content, owner, group, mode), candidate, helper, keytab, spn.
function pfsquid_stage($file, $id) {
	$path = $file['path'] . '.' . $id;
	$content = base64_decode($file['content']);
	if (@file_put_contents($path, $content) !== strlen($content)) {
		@unlink($path);
		return "{$file['path']} cannot be written: no space left, or no such folder";
	}
	if (!@chown($path, $file['owner'])) {
		return "{$file['path']} cannot be given to {$file['owner']}: there is no such user";
	}
	if (posix_getgrnam($file['group'])) {
		chgrp($path, $file['group']);
	}
	chmod($path, $file['mode']);
	return '';
}

// Once this process has become Squid's user, there is no way back: the last thing that it does.
function pfsquid_try_helper($helper, $keytab, $spn, $files, $id) {
	$user = posix_getpwnam('squid');
	$group = posix_getgrnam('proxy');
	if (!$user || !$group) {
		return 'there is no user squid or no group proxy: is the Squid package installed?';
	}
	posix_setgid($group['gid']);
	posix_initgroups('squid', $group['gid']);
	posix_setuid($user['uid']);
	if (posix_geteuid() !== $user['uid']) {
		return 'the helper could not be tried as the user squid';
	}
	clearstatcache();
	if (!is_readable($keytab)) {
		return 'the keytab cannot be read by the user squid';
	}
	if (!is_executable($helper)) {
		return "there is no helper $helper that the user squid may run";
	}
	$pipes = array();
	$spec = array(array('pipe', 'r'), array('pipe', 'w'), array('pipe', 'w'));
	// Where MIT Kerberos looks, with the staged file in the place of the one that it will replace.
	$confs = array('/etc/krb5.conf', '/usr/local/etc/krb5.conf');
	foreach ($files as $file) {
		$at = array_search($file['path'], $confs, true);
		if ($at !== false) {
			$confs[$at] = "{$file['path']}.$id";
		}
	}
	$command = array($helper, '-k', $keytab, '-s', $spn, '-t', 'none');
	$process = proc_open($command, $spec, $pipes, '/', array('KRB5_CONFIG' => implode(':', $confs)));
	if (!is_resource($process)) {
		return "the helper $helper cannot be started";
	}
	// A token that is none: what the helper says of it shows how far it came with the keytab.
	fwrite($pipes[0], 'YR ' . base64_encode(str_repeat('pfsquid', 8)) . "\nQQ\n");
	fclose($pipes[0]);
	$said = trim(stream_get_contents($pipes[1]) . "\n" . stream_get_contents($pipes[2]));
	proc_close($process);
	if (strpos($said, 'gss_accept_sec_context') !== false) {
		return '';
	}
	return 'the helper does not take the keytab: ' . substr($said, 0, 600);
}

$problem = '';
foreach ($in['files'] as $file) {
	$problem = $problem ?: pfsquid_stage($file, $in['id']);
}
if (!$problem && $in['candidate'] !== null) {
	$candidate = "/usr/local/etc/squid/squid.conf.{$in['id']}";
	$text = base64_decode($in['candidate']);
	if (@file_put_contents($candidate, $text) !== strlen($text)) {
		$problem = 'the candidate squid.conf cannot be written: no space left';
	} else {
		$problem = pfsquid_parse($candidate);
		if ($problem && pfsquid_parse('/usr/local/etc/squid/squid.conf')) {
			$problem .= ' | the one that lies there now is refused, too: Squid will not start again with it';
		}
	}
	@unlink($candidate);
}
if (!$problem && $in['keytab'] !== null) {
	$problem = pfsquid_try_helper($in['helper'], $in['keytab'], $in['spn'], $in['files'], $in['id']);
}
pfsquid_answer(array('problem' => $problem));
