// Stands after begin.php in every program that changes something or asks pfSense's own functions: the configuration, fresh.
// Keeps to what releases 2.7, 2.8 and 2.9 have in common, and asks for the rest by function_exists.
require_once('config.inc');
pfsquid_load('util.inc');

// Which file holds a function differs between releases; one that is not there is not missed until it is called.
function pfsquid_load($file) {
	if (stream_resolve_include_path($file) !== false) {
		require_once($file);
	}
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
