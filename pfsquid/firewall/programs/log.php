// Read logs for somebody afar: questions on standard input, one line of JSON each; each answer is a marked line of JSON
// and the raw bytes that it tells of. Reads only, keeps at most one log open, and ends with its input or when nobody
// has asked for a while. $in: mark.
const PFSQUID_IDLE = 300;
const PFSQUID_BLOCK = 4194304;
const PFSQUID_LITTLE = 512; // less than this is not worth packing

function pfsquid_reply($answer, $data = '') {
	global $in;
	ob_clean();
	$answer['bytes'] = strlen($data);
	$left = "\n" . $in['mark'] . json_encode($answer, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES) . "\n" . $data;
	while ($left !== '') {
		$sent = @fwrite(STDOUT, $left);
		if (!$sent) {
			exit(0); // nobody is there any more
		}
		$left = strval(substr($left, $sent));
	}
}

// The files whose names begin with that of the log: name, device, inode, size, time of change.
function pfsquid_files($path) {
	clearstatcache();
	$base = basename($path);
	$found = array();
	foreach (@scandir(dirname($path)) ?: array() as $name) {
		if (strncmp($name, $base, strlen($base)) !== 0 || preg_match('/[^0-9A-Za-z._-]/', substr($name, strlen($base)))) {
			continue;
		}
		$stat = @stat(dirname($path) . '/' . $name);
		if ($stat && ($stat['mode'] & 0170000) === 0100000) {
			$found[] = array($name, $stat['dev'], $stat['ino'], $stat['size'], $stat['mtime']);
		}
	}
	return $found;
}

// The log with that inode under the name that it had, or under the one that it has now; null, or why it cannot be read.
// Only one stays open, so that a log that is deleted gives its room free soon.
function pfsquid_opened($ask) {
	static $file = null, $whose = null;
	$wanted = array($ask['dev'], $ask['ino']);
	if ($ask['do'] === 'list') {
		$file = $whose = null;
		return null;
	}
	if ($file && $whose === $wanted) {
		return $file;
	}
	$file = $whose = null;
	$names = array($ask['name']);
	foreach (pfsquid_files($ask['path']) as $one) {
		if (array($one[1], $one[2]) === $wanted) {
			$names[] = $one[0];
		}
	}
	foreach ($names as $name) {
		$path = dirname($ask['path']) . '/' . $name;
		$found = is_file($path) ? @fopen($path, 'rb') : null;
		if ($found === false && count($names) > 1) {
			return pfsquid_why();
		}
		$stat = $found ? fstat($found) : null;
		if ($stat && array($stat['dev'], $stat['ino']) === $wanted) {
			stream_set_read_buffer($found, 0); // what is read is what stands there now
			$file = $found;
			$whose = $wanted;
			return $file;
		}
	}
	return null;
}

function pfsquid_part($file, $offset, $length) {
	return $length > 0 && fseek($file, $offset) === 0 ? strval(stream_get_contents($file, $length)) : '';
}

function pfsquid_digest($file, $begin, $length) {
	$part = pfsquid_part($file, $begin, $length);
	return strlen($part) === $length ? substr(hash('sha256', $part), 0, 40) : '';
}

function pfsquid_list($ask) {
	$files = pfsquid_files($ask['path']);
	$tag = md5(json_encode($files));
	if ($tag === $ask['tag']) {
		return array('same' => true, 'now' => time());
	}
	return array('files' => $files, 'tag' => $tag, 'now' => time());
}

function pfsquid_read($file, $ask) {
	$before = $ask['before'];
	if ($before && pfsquid_digest($file, $before[0], $before[1]) !== $before[2]) {
		return array(array('end' => true), '');
	}
	$length = min($ask['length'], PFSQUID_BLOCK);
	$data = pfsquid_part($file, $ask['offset'], $length);
	$answer = array('end' => strlen($data) < $length);
	if (strlen($data) > PFSQUID_LITTLE && function_exists('gzcompress')) {
		$packed = gzcompress($data, 1);
		if (strlen($packed) < 0.8 * strlen($data)) {
			return array($answer + array('packed' => true), $packed);
		}
	}
	return array($answer, $data);
}

pfsquid_reply(array('ready' => true));
while (true) {
	$readable = array(STDIN);
	$none = null;
	if (!@stream_select($readable, $none, $none, PFSQUID_IDLE)) {
		exit(0);
	}
	$line = fgets(STDIN);
	$ask = $line === false ? null : json_decode($line, true);
	if (!is_array($ask)) {
		exit(0);
	}
	$file = pfsquid_opened($ask);
	if ($ask['do'] === 'list') {
		pfsquid_reply(pfsquid_list($ask));
	} elseif ($file === null) {
		pfsquid_reply(array('gone' => true));
	} elseif (is_string($file)) {
		pfsquid_reply(array('error' => $file));
	} elseif ($ask['do'] === 'digests') {
		$digests = array();
		foreach ($ask['ranges'] as $range) {
			$digests[] = pfsquid_digest($file, $range[0], $range[1]);
		}
		pfsquid_reply(array('digests' => $digests));
	} else {
		pfsquid_reply(...pfsquid_read($file, $ask));
	}
}
