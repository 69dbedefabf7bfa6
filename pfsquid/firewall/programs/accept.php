// What the real helper says to tokens, started as Squid starts it: as its user, with its one group. The last thing that
// this process does. Leaves no replay cache. $in: command (words), environment, tokens (base64), seconds for each.
function pfsquid_without_replay_cache($command) {
	return array_merge($command, array('-t', 'none')); // the last -t is the one that counts
}

// One line that the helper writes; null where it ends or the time is over. Its errors are read meanwhile: a full pipe
// would stop it.
function pfsquid_line(&$out, &$errors, $pipes, $until) {
	while (true) {
		$end = strpos($out, "\n");
		if ($end !== false) {
			$line = substr($out, 0, $end);
			$out = substr($out, $end + 1);
			return $line;
		}
		$read = array_values(array_filter(array($pipes[1], $pipes[2]), function ($pipe) {
			return !feof($pipe);
		}));
		$wait = $until - microtime(true);
		if (feof($pipes[1]) || $wait <= 0) {
			return null;
		}
		$none = null;
		if (!@stream_select($read, $none, $none, intval($wait), intval(fmod($wait, 1) * 1000000))) {
			continue;
		}
		foreach ($read as $pipe) {
			$part = strval(fread($pipe, 65536));
			if ($pipe === $pipes[1]) {
				$out = substr($out . $part, 0, 1048576);
			} else {
				$errors = substr($errors . $part, -65536);
			}
		}
	}
}

function pfsquid_accept($command, $environment, $tokens, $seconds) {
	$answer = array('started' => false, 'lines' => array(), 'errors' => '', 'problem' => '', 'ran_as' => '');
	$conf = strval(@file_get_contents('/usr/local/etc/squid/squid.conf'));
	$user = pfsquid_squids_user($conf);
	if (!$user || !pfsquid_become($user)) {
		return array('problem' => "Squid's user is not there, or cannot be taken on") + $answer;
	}
	$answer['ran_as'] = $user['name'];
	clearstatcache();
	if (!is_executable($command[0])) {
		return array('problem' => "there is no {$command[0]} that the user {$user['name']} may run") + $answer;
	}
	$spec = array(array('pipe', 'r'), array('pipe', 'w'), array('pipe', 'w'));
	$defaults = array('PATH' => '/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin', 'KRB5RCACHETYPE' => 'none');
	$process = @proc_open(pfsquid_without_replay_cache($command), $spec, $pipes, '/', $environment + $defaults);
	if (!is_resource($process)) {
		return array('problem' => 'it does not start: ' . pfsquid_why()) + $answer;
	}
	$answer['started'] = true;
	foreach ($pipes as $pipe) {
		stream_set_blocking($pipe, false);
	}
	$out = '';
	$errors = '';
	foreach ($tokens as $token) {
		$until = microtime(true) + $seconds;
		$asked = "YR $token\n";
		while ($asked !== '' && microtime(true) < $until) {
			$sent = @fwrite($pipes[0], $asked);
			if ($sent === false) {
				break;
			}
			$asked = strval(substr($asked, $sent));
			$asked === '' || usleep(2000);
		}
		$line = pfsquid_line($out, $errors, $pipes, $until);
		if ($line === null) {
			$answer['problem'] = microtime(true) >= $until ? "no answer within $seconds s" : 'it ended without an answer';
			break;
		}
		$answer['lines'][] = pfsquid_redacted($line);
	}
	@fwrite($pipes[0], "QQ\n");
	@fclose($pipes[0]);
	$until = microtime(true) + ($answer['problem'] ? 0.2 : 1.0);
	while (pfsquid_line($out, $errors, $pipes, $until) !== null) {
		continue;
	}
	$until = microtime(true) + 0.2;
	while (($status = proc_get_status($process))['running'] && microtime(true) < $until) {
		usleep(5000);
	}
	if ($status['running']) {
		proc_terminate($process, 9);
	} elseif ($answer['problem']) {
		$answer['problem'] .= $status['signaled'] ? " (signal {$status['termsig']})" : " (status {$status['exitcode']})";
	}
	$answer['errors'] = pfsquid_redacted(trim($errors));
	return $answer;
}

pfsquid_answer(pfsquid_accept($in['command'], $in['environment'], $in['tokens'], $in['seconds']));
