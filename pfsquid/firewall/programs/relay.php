// Send bytes from here to others, all at once, and give back what they answer. Writes nothing.
// $in: questions (id, transport udp or tcp, host, port, data in base64, framing 0, 2 or 4, seconds).
const PFSQUID_RESEND = 1.0; // one lost datagram is no answer yet

function pfsquid_error($number) {
	$known = array(
		SOCKET_ECONNREFUSED => 'refused', SOCKET_EHOSTUNREACH => 'unreachable', SOCKET_ENETUNREACH => 'unreachable',
		SOCKET_EHOSTDOWN => 'unreachable', SOCKET_ETIMEDOUT => 'timed out', SOCKET_ECONNRESET => 'reset',
		SOCKET_EPIPE => 'closed',
	);
	return $known[$number] ?? strtolower(socket_strerror($number));
}

// The address of a host, or '' and what is wrong. A resolver that is silent once is not asked again: its time-outs would
// add up.
function pfsquid_address($host) {
	static $known = array();
	static $silent = false;
	if (filter_var($host, FILTER_VALIDATE_IP)) {
		return array($host, '');
	}
	if (!isset($known[$host])) {
		$begun = microtime(true);
		$found = $silent ? array() : (@socket_addrinfo_lookup($host, null, array('ai_socktype' => SOCK_STREAM)) ?: array());
		$silent = $silent || (!$found && microtime(true) - $begun > 0.9);
		$is = $found ? socket_addrinfo_explain($found[0])['ai_addr'] : array();
		$address = strval($is['sin_addr'] ?? $is['sin6_addr'] ?? '');
		$known[$host] = array($address, $address !== '' ? '' : ($silent ? 'the resolver is silent' : 'no such host'));
	}
	return $known[$host];
}

function pfsquid_ask($question, $begun) {
	list($address, $problem) = pfsquid_address($question['host']);
	$state = array(
		'id' => $question['id'], 'udp' => $question['transport'] === 'udp', 'framing' => $question['framing'],
		'begun' => $begun, 'until' => $begun + $question['seconds'], 'resend' => $begun + PFSQUID_RESEND,
		'error' => null, 'got' => '', 'connected' => false, 'socket' => null,
		'address' => $address, 'seconds' => 0.0,
	);
	$data = base64_decode($question['data']);
	$length = $state['framing'] === 4 ? pack('N', strlen($data)) : ($state['framing'] === 2 ? pack('n', strlen($data)) : '');
	$state['whole'] = $state['udp'] ? $data : $length . $data;
	$state['left'] = $state['whole'];
	if ($address === '') {
		return pfsquid_ended($state, $problem);
	}
	$family = strpos($state['address'], ':') === false ? AF_INET : AF_INET6;
	$kind = $state['udp'] ? SOCK_DGRAM : SOCK_STREAM;
	$state['socket'] = @socket_create($family, $kind, $state['udp'] ? SOL_UDP : SOL_TCP) ?: null;
	if (!$state['socket']) {
		return pfsquid_ended($state, pfsquid_error(socket_last_error()));
	}
	socket_set_nonblock($state['socket']);
	if (!@socket_connect($state['socket'], $state['address'], $question['port'])) {
		$number = socket_last_error($state['socket']);
		if ($number !== SOCKET_EINPROGRESS) {
			return pfsquid_ended($state, pfsquid_error($number));
		}
	}
	return $state;
}

function pfsquid_ended($state, $error) {
	$state['error'] = $error;
	$state['seconds'] = microtime(true) - $state['begun'];
	$state['socket'] = null;
	return $state;
}

function pfsquid_send($state) {
	if (!$state['connected']) {
		$number = socket_get_option($state['socket'], SOL_SOCKET, SO_ERROR);
		if ($number) {
			return pfsquid_ended($state, pfsquid_error($number));
		}
		$state['connected'] = true;
	}
	$sent = @socket_write($state['socket'], $state['left']);
	if ($sent === false) {
		$number = socket_last_error($state['socket']);
		return in_array($number, array(SOCKET_EAGAIN, SOCKET_EINTR), true) ? $state : pfsquid_ended($state, pfsquid_error($number));
	}
	$state['left'] = $state['udp'] ? '' : strval(substr($state['left'], $sent));
	return $state;
}

function pfsquid_receive($state) {
	$part = @socket_read($state['socket'], 65536);
	if ($part === false) {
		$number = socket_last_error($state['socket']);
		return in_array($number, array(SOCKET_EAGAIN, SOCKET_EINTR), true) ? $state : pfsquid_ended($state, pfsquid_error($number));
	}
	if ($state['udp']) {
		$state['got'] = $part;
		return pfsquid_ended($state, '');
	}
	$state['got'] .= $part;
	$framing = $state['framing'];
	if ($framing && strlen($state['got']) >= $framing) {
		$length = unpack($framing === 4 ? 'N' : 'n', $state['got'])[1];
		if ($length > 1048576) {
			return pfsquid_ended($state, "no answer of this protocol: it tells of $length bytes");
		}
		if (strlen($state['got']) >= $framing + $length) {
			$state['got'] = substr($state['got'], $framing, $length);
			return pfsquid_ended($state, '');
		}
	}
	if ($part === '') {
		return pfsquid_ended($state, $framing || $state['got'] === '' ? 'closed' : '');
	}
	return strlen($state['got']) > 1048576 ? pfsquid_ended($state, 'more than 1 MB') : $state;
}

if (!function_exists('socket_create')) {
	pfsquid_answer(array('error' => "PHP's extension sockets is missing", 'next' => 'on the firewall: /usr/local/bin/php -m'));
	exit(0);
}
putenv('RES_OPTIONS=timeout:1 attempts:1');
$states = array();
foreach ($in['questions'] as $question) {
	$states[] = pfsquid_ask($question, microtime(true));
}
do {
	$now = microtime(true);
	$read = array();
	$write = array();
	$next = $now + 0.5;
	foreach ($states as $at => $state) {
		if ($state['error'] !== null) {
			continue;
		}
		if ($now >= $state['until']) {
			$has_all = !$state['udp'] && !$state['framing'] && $state['got'] !== '';
			$states[$at] = pfsquid_ended($state, $has_all ? '' : 'timed out');
			continue;
		}
		if ($state['udp'] && $state['left'] === '' && $state['resend'] && $now >= $state['resend']) {
			$states[$at]['left'] = $state['whole'];
			$states[$at]['resend'] = 0;
		}
		$next = min($next, $state['until'], $state['udp'] && $state['resend'] ? $state['resend'] : $next);
		$read[$at] = $state['socket'];
		if ($states[$at]['left'] !== '' || !$state['connected']) {
			$write[$at] = $state['socket'];
		}
	}
	if (!$read) {
		break;
	}
	$none = null;
	$wait = max(0.0, $next - microtime(true));
	if (!@socket_select($read, $write, $none, intval($wait), intval(fmod($wait, 1) * 1000000))) {
		continue;
	}
	foreach (array_keys($write) as $at) {
		$states[$at] = pfsquid_send($states[$at]);
	}
	foreach (array_keys($read) as $at) {
		if ($states[$at]['error'] === null && $states[$at]['connected']) {
			$states[$at] = pfsquid_receive($states[$at]);
		}
	}
} while (true);
$answers = array();
foreach ($states as $state) {
	$answers[] = array(
		'id' => $state['id'], 'data' => base64_encode($state['got']), 'error' => $state['error'],
		'address' => $state['address'], 'seconds' => $state['seconds'],
	);
}
pfsquid_answer(array('answers' => $answers));
