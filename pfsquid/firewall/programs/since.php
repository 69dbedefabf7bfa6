// Where logs end, or what they got since. Reads only. $in: paths → null (where does it end?) or array(inode, size) as
// they were; wait_for (base64, or null), seconds.
const PFSQUID_MOST = 1048576;

function pfsquid_end($path) {
	clearstatcache();
	$stat = @stat($path);
	return $stat && is_file($path) ? array($stat['ino'], $stat['size']) : array(0, 0);
}

// What came since, at most the last megabyte and a part of it. After a rotation the rest of the former file stands in
// PATH.0, which has its inode.
function pfsquid_news($path, $begun) {
	list($inode, $size) = pfsquid_end($path);
	list($former, $from) = $begun;
	if ($inode === $former && $size >= $from) {
		return pfsquid_bytes($path, $from, $size);
	}
	$rest = '';
	list($rotated, $end) = pfsquid_end("$path.0");
	if ($former && $rotated === $former && $inode !== $former) {
		$rest = pfsquid_bytes("$path.0", $from, $end);
	}
	return $rest . ($inode ? pfsquid_bytes($path, 0, $size) : '');
}

function pfsquid_bytes($path, $from, $to) {
	$from = max($from, $to - 16 * PFSQUID_MOST);
	return $to > $from ? strval(@file_get_contents($path, false, null, $from, $to - $from)) : '';
}

$answer = array('positions' => array(), 'bytes' => array(), 'found' => false);
$wait_for = $in['wait_for'] === null ? null : base64_decode($in['wait_for']);
$until = microtime(true) + $in['seconds'];
$asked = array_filter($in['paths'], 'is_array');
$seen = array();
do {
	foreach ($asked as $path => $begun) {
		$now = array_merge(pfsquid_end($path), pfsquid_end("$path.0"));
		if (($seen[$path] ?? null) === $now) {
			continue;
		}
		$seen[$path] = $now;
		$news = pfsquid_news($path, $begun);
		$at = $wait_for === null ? false : strpos($news, $wait_for);
		if ($at !== false) {
			$answer['found'] = true;
			$end = strpos($news, "\n", $at);
			$news = $end === false ? $news : substr($news, 0, max($end + 1, min(strlen($news), PFSQUID_MOST)));
		}
		$answer['bytes'][$path] = substr($news, -PFSQUID_MOST);
	}
	if ($wait_for === null || $answer['found'] || !$asked) {
		break;
	}
	usleep(50000);
} while (microtime(true) < $until);
foreach ($answer['bytes'] as $path => $news) {
	$answer['bytes'][$path] = base64_encode(pfsquid_redacted($news));
}
foreach (array_keys($in['paths']) as $path) {
	$answer['positions'][$path] = pfsquid_end($path);
}
pfsquid_answer($answer);
