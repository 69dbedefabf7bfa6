// The actual state: what pfsquid touches, and what it must know to touch it safely. Writes nothing.
// $in: key (for digests), fields (paths), files (paths), secret_files (paths whose content is not sent).
if (!pfsquid_alone(LOCK_SH, 45)) {
	pfsquid_answer(array('error' => 'another pfsquid is at work on this firewall', 'next' => 'the same command in a minute'));
	exit(0);
}
$answer = array(
	'release' => trim(@file_get_contents('/etc/version')),
	'php' => PHP_VERSION,
	'package' => is_array(config_get_path('installedpackages/squid/config/0', null)) && is_file('/usr/local/pkg/squid.inc'),
	'squid' => '',
	'fields' => array(),
	'files' => array(),
	'resolver' => null,
	'overrides' => array(),
	'auth_method' => pfsquid_get('installedpackages/squidauth/config/0/auth_method'),
	'transparent' => pfsquid_get('installedpackages/squid/config/0/transparent_proxy'),
	'cache_saved' => is_array(config_get_path('installedpackages/squidcache/config/0', null)),
	'sync' => pfsquid_get('installedpackages/squidsync/config/0/synconchanges'),
	'interfaces' => array(),
	'pid' => pfsquid_pid(),
	'squid_conf' => null,
	'helper' => is_executable($in['helper']),
	'revision' => pfsquid_get('revision'),
);
foreach ($in['fields'] as $path) {
	$value = pfsquid_get($path);
	$answer['fields'][$path] = is_array($value) ? json_encode($value) : $value;
}
foreach ($in['files'] as $path) {
	$answer['files'][$path] = pfsquid_file($path, $in['key'], true);
}
foreach (array_merge($in['secret_files'], glob('/usr/local/etc/squid/pfsquid-*.keytab')) as $path) {
	$answer['files'][$path] = pfsquid_file($path, $in['key'], false);
}
foreach (array('unbound', 'dnsmasq') as $resolver) {
	if (config_get_path("$resolver/enable", null) !== null) {
		$answer['resolver'] = $resolver;
		$answer['overrides'] = pfsquid_list("$resolver/domainoverrides");
		break;
	}
}
foreach (explode(',', strval(pfsquid_get('installedpackages/squid/config/0/active_interface'))) as $name) {
	$answer['interfaces'][$name] = pfsquid_get("interfaces/$name/ipaddr");
}
$lan = pfsquid_get('interfaces/lan/ipaddr');
$answer['interfaces']['lan'] = $lan;
exec('/usr/local/sbin/squid -v 2>/dev/null', $version);
$answer['squid'] = $version[0] ?? '';
$answer['squid_tls'] = strpos(implode("\n", $version), 'openssl') !== false;
if (is_file('/usr/local/etc/squid/squid.conf')) {
	$answer['squid_conf'] = base64_encode(file_get_contents('/usr/local/etc/squid/squid.conf'));
}
pfsquid_answer($answer);
