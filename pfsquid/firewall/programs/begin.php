// Stands before every program: one marked answer, and what PHP may say beside it. Constant text; all data is in $in.
// Requires nothing of pfSense and changes nothing: a program that only looks has this and no prelude.
error_reporting(E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_RECOVERABLE_ERROR);
ini_set('display_errors', '0');
ini_set('zend.exception_ignore_args', '1'); // a trace of calls would show the first bytes of a keytab
ignore_user_abort(true);
set_time_limit(0);
umask(077);

// Everything that pfSense prints is noise; it is kept, shortened, as evidence.
ob_start();

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

// What the system said last against what was just tried.
function pfsquid_why() {
	$parts = explode(': ', strval(error_get_last()['message'] ?? ''));
	return end($parts);
}

function pfsquid_pid() {
	$pid = intval(@file_get_contents('/var/run/squid/squid.pid'));
	return $pid > 1 && posix_kill($pid, 0) ? $pid : 0;
}

// A log without what would let its reader in: tokens by the words before them, and whatever looks like one by its length.
// Squid's own words "Negotiate Authentication …" and "Basic authentication" stay.
function pfsquid_redacted($text) {
	return strval(preg_replace(
		array(
			'#((?:Authorization|Cookie): *)[^\r\n]+#i',
			'#\b(Negotiate|NTLM|Bearer|Digest) +[A-Za-z0-9+/=_.~-]{16,}#',
			'#\b(Basic) +(?!auth|realm|helper|scheme)[^\s\']{4,}#i',
			'#\b(YR|KK|TT|AF) +[A-Za-z0-9+/=]{8,}#',
			'#\b(token[=:] *|Decode \')[A-Za-z0-9+/=]{4,}#',
			'#[A-Za-z0-9+/]{64,}={0,2}#',
		),
		array('$1…', '$1 …', '$1 …', '$1 …', '$1…', '…'),
		$text
	));
}
