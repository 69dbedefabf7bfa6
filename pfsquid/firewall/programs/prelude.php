// Stands before every program: pfSense's configuration, fresh, and one marked answer. Constant text; all data is in $in.
// Keeps to what releases 2.7, 2.8 and 2.9 have in common, and asks for the rest by function_exists.
error_reporting(E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_RECOVERABLE_ERROR);
ini_set('display_errors', '0');
ini_set('zend.exception_ignore_args', '1'); // a trace of calls would show the first bytes of a keytab
ignore_user_abort(true);
set_time_limit(0);
umask(077);

// Everything that pfSense prints is noise; it is kept, shortened, as evidence.
ob_start();
require_once('config.inc');
pfsquid_load('util.inc');

// Which file holds a function differs between releases; one that is not there is not missed until it is called.
function pfsquid_load($file) {
	if (stream_resolve_include_path($file) !== false) {
		require_once($file);
	}
}

function pfsquid_answer($answer) {
	global $in, $pfsquid_answered;
	$noise = '';
	while (ob_get_level() > 0) {
		$noise = ob_get_clean() . $noise;
	}
	if ($pfsquid_answered) {
		return;
	}
	$pfsquid_answered = true;
	$answer['noise'] = substr(trim($noise, " .\n\r\t"), 0, 2000);
	echo "\n" . $in['mark'] . json_encode($answer, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES) . "\n";
}

// 2.7 trusts a cache of config.xml without a look at its age: always read the file itself.
function pfsquid_fresh() {
	global $config;
	if (function_exists('config_read_file')) {
		config_read_file(false, false);
	} else {
		$config = parse_config(true);
	}
}

function pfsquid_get($path) {
	$value = config_get_path($path, null);
	return $value === array() ? null : $value;
}

// An empty tag makes an entry of a list that is no entry.
function pfsquid_list($path) {
	$list = config_get_path($path, array());
	return is_array($list) ? array_values(array_filter($list, 'is_array')) : array();
}

// One transaction at a time on this firewall, whoever asks from wherever; who reads waits for its end. The mode `e` keeps
// Squid, which a transaction may start, from holding the lock for ever.
function pfsquid_alone($how, $seconds) {
	global $pfsquid_lock;
	$pfsquid_lock = @fopen('/var/run/pfsquid.lock', $how === LOCK_SH ? 're' : 'ce');
	if (!$pfsquid_lock) {
		return $how === LOCK_SH; // nobody ever was here
	}
	$until = microtime(true) + $seconds;
	while (!flock($pfsquid_lock, $how | LOCK_NB)) {
		if (microtime(true) > $until) {
			return false;
		}
		usleep(100000);
	}
	pfsquid_fresh();
	return true;
}

function pfsquid_file($path, $key, $with_content) {
	clearstatcache();
	if (!is_file($path)) {
		return null;
	}
	$content = file_get_contents($path);
	$owner = posix_getpwuid(fileowner($path));
	$group = posix_getgrgid(filegroup($path));
	return array(
		'digest' => hash_hmac('sha256', $content, base64_decode($key)),
		'size' => strlen($content),
		'owner' => $owner ? $owner['name'] : strval(fileowner($path)),
		'group' => $group ? $group['name'] : strval(filegroup($path)),
		'mode' => fileperms($path) & 07777,
		'content' => $with_content ? base64_encode($content) : null,
	);
}

function pfsquid_pid() {
	$pid = intval(@file_get_contents('/var/run/squid/squid.pid'));
	return $pid > 1 && posix_kill($pid, 0) ? $pid : 0;
}

// What Squid's own parser says against a configuration; '' where it takes it.
function pfsquid_parse($path) {
	exec('/usr/local/sbin/squid -k parse -f ' . escapeshellarg($path) . ' 2>&1', $said, $status);
	$bad = preg_grep('/FATAL|Bungled/', $said);
	if ($status === 0 && !$bad) {
		return '';
	}
	return 'Squid refuses the configuration: ' . substr(implode(' | ', $bad ?: array_slice($said, -3)), 0, 600);
}

// One request through the proxy's LAN address: never 127.0.0.1, which Squid lets through before any question.
function pfsquid_request($address, $port, $header) {
	$host = strpos($address, ':') === false ? $address : "[$address]";
	$socket = @stream_socket_client("tcp://$host:$port", $number, $why, 3);
	if (!$socket) {
		return array('status' => 0, 'schemes' => array(), 'error' => "$why");
	}
	stream_set_timeout($socket, 10);
	fwrite($socket, "GET http://pfsquid-proof.invalid/ HTTP/1.1\r\nHost: pfsquid-proof.invalid\r\n{$header}Connection: close\r\n\r\n");
	$head = '';
	while (!feof($socket) && strlen($head) < 65536 && strpos($head, "\r\n\r\n") === false) {
		$line = fgets($socket, 8192);
		if ($line === false) {
			break;
		}
		$head .= $line;
	}
	fclose($socket);
	preg_match('#^HTTP/\d\.\d (\d{3})#', $head, $status);
	preg_match_all('#^Proxy-Authenticate: *(\S+)#mi', $head, $schemes);
	return array('status' => intval($status[1] ?? 0), 'schemes' => $schemes[1], 'error' => '');
}

if (!function_exists('config_get_path')) {
	pfsquid_answer(array('error' => 'this release of pfSense is older than 2.7', 'next' => 'update pfSense'));
	exit(0);
}
pfsquid_fresh();
