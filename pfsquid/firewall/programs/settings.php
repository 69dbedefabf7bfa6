// The settings in config.xml that Kerberos hangs on, by PHP's own parser: pfSense's would write a cache. Of all else in
// that file, passwords among it, nothing is kept.
// Paths below <pfsense>; what ends in /* is kept whole, and so are all of several tags of one name.
const PFSQUID_KEPT = array(
	'system/hostname', 'system/domain', 'system/dnsserver', 'system/timeservers',
	'unbound/enable', 'unbound/port', 'unbound/custom_options', 'unbound/domainoverrides/*', 'unbound/hosts/*',
	'dnsmasq/enable', 'dnsmasq/port', 'dnsmasq/custom_options', 'dnsmasq/domainoverrides/*', 'dnsmasq/hosts/*',
	'interfaces/*', 'virtualip/vip/*',
	'installedpackages/package/name', 'installedpackages/package/internal_name', 'installedpackages/package/version',
	'installedpackages/squid/config/*', 'installedpackages/squidauth/config/auth_method',
	'installedpackages/squidcache/config/*', 'installedpackages/squidsync/config/synconchanges',
);

// Tags as nodes: array('tag', 'text', 'below'). Returns the root, or a text that says what is wrong.
function pfsquid_settings($path) {
	$file = @fopen($path, 'rb');
	if (!$file) {
		return "$path cannot be read: " . pfsquid_why();
	}
	$root = null;
	$stack = array();
	$where = array();
	$parser = xml_parser_create();
	xml_parser_set_option($parser, XML_OPTION_CASE_FOLDING, 0);
	xml_set_element_handler(
		$parser,
		function ($parser, $tag) use (&$stack, &$where) {
			$where[] = strtolower($tag);
			$stack[] = array('tag' => strtolower($tag), 'text' => '', 'below' => array());
		},
		function () use (&$stack, &$where, &$root) {
			$node = array_pop($stack);
			$kept = pfsquid_is_kept($where);
			array_pop($where);
			if (!$stack) {
				$root = $node;
			} elseif ($kept || $node['below']) {
				if (!$kept) {
					$node['text'] = '';
				}
				$stack[count($stack) - 1]['below'][] = $node;
			}
		}
	);
	xml_set_character_data_handler($parser, function ($parser, $text) use (&$stack) {
		if ($stack) {
			$stack[count($stack) - 1]['text'] .= $text;
		}
	});
	$problem = '';
	do {
		$part = strval(fread($file, 262144));
		$end = $part === '' || feof($file);
		if (!xml_parse($parser, $part, $end)) {
			$problem = xml_error_string(xml_get_error_code($parser)) . ' in line ' . xml_get_current_line_number($parser);
		}
	} while (!$end && !$problem);
	fclose($file);
	if (!$problem && ($root['tag'] ?? '') !== 'pfsense') {
		$problem = 'its first tag is <' . ($root['tag'] ?? '') . '>';
	}
	return $problem ? "$path is no configuration of pfSense: $problem" : $root;
}

function pfsquid_is_kept($where) {
	$path = implode('/', array_slice($where, 1));
	foreach (PFSQUID_KEPT as $kept) {
		if ($path === $kept || (substr($kept, -1) === '*' && strpos("$path/", substr($kept, 0, -1)) === 0)) {
			return true;
		}
	}
	return false;
}

// All nodes at a path below a node.
function pfsquid_nodes($node, $path) {
	$found = array($node);
	foreach (explode('/', $path) as $tag) {
		$below = array();
		foreach ($found as $one) {
			foreach ($one['below'] as $child) {
				if ($child['tag'] === $tag) {
					$below[] = $child;
				}
			}
		}
		$found = $below;
	}
	return $found;
}

// The text at a path, of the first where there are several; null where there is none.
function pfsquid_text($node, $path) {
	$found = pfsquid_nodes($node, $path);
	return $found ? trim($found[0]['text']) : null;
}

// The tags right below a node that hold text alone.
function pfsquid_fields($node) {
	$fields = array();
	foreach ($node['below'] as $child) {
		if (!$child['below']) {
			$fields[$child['tag']] = trim($child['text']);
		}
	}
	return $fields;
}

function pfsquid_package_version($root) {
	foreach (pfsquid_nodes($root, 'installedpackages/package') as $package) {
		$names = array(strtolower(strval(pfsquid_text($package, 'name'))), strtolower(strval(pfsquid_text($package, 'internal_name'))));
		if (in_array('squid', $names, true)) {
			return strval(pfsquid_text($package, 'version'));
		}
	}
	return null;
}

function pfsquid_squid_fields($root) {
	$found = pfsquid_nodes($root, 'installedpackages/squid/config');
	if (!$found || !$found[0]['below']) {
		return null;
	}
	$fields = pfsquid_fields($found[0]);
	foreach ($fields as $name => $value) {
		if (preg_match('/^custom_options\d?_squid3$/', $name)) {
			$value = strval(base64_decode($value));
		}
		$fields[$name] = pfsquid_without_secrets($value);
	}
	return $fields;
}

// Text of squid.conf without the passwords that may stand in it.
function pfsquid_without_secrets($conf) {
	return strval(preg_replace(
		array(
			'/^([ \t]*auth_param[ \t]+basic[ \t]+program\b[^\r\n]*?[ \t]-w[ \t]*)(?:"[^"\r\n]*"|\'[^\'\r\n]*\'|\\\\.|[^\s"\'])+/m',
			'/^([ \t]*external_acl_type\b[^\r\n]*?[ \t]-w[ \t]*)(?:"[^"\r\n]*"|\'[^\'\r\n]*\'|\\\\.|[^\s"\'])+/m',
			'/^([ \t]*cachemgr_passwd[ \t]+)\S+/m',
			'/^([ \t]*cache_peer\b[^\r\n]*?\blogin=)\S+/m',
		),
		'$1…',
		$conf
	));
}

// What an administrator set, as far as it matters here.
function pfsquid_told_by_settings($root) {
	$told = array(
		'hostname' => pfsquid_text($root, 'system/hostname'),
		'domain' => pfsquid_text($root, 'system/domain'),
		'dns_servers' => array_column(pfsquid_nodes($root, 'system/dnsserver'), 'text'),
		'time_servers' => pfsquid_text($root, 'system/timeservers'),
		'resolver' => null,
		'resolver_port' => '',
		'resolver_options' => '',
		'overrides' => array(),
		'hosts' => array(),
		'interfaces' => array(),
		'virtual_addresses' => array_column(array_map('pfsquid_fields', pfsquid_nodes($root, 'virtualip/vip')), 'subnet'),
		'package' => pfsquid_package_version($root),
		'squid' => pfsquid_squid_fields($root),
		'auth_method' => pfsquid_text($root, 'installedpackages/squidauth/config/auth_method'),
		'cache_saved' => (bool) (pfsquid_nodes($root, 'installedpackages/squidcache/config')[0]['below'] ?? false),
		'sync' => pfsquid_text($root, 'installedpackages/squidsync/config/synconchanges'),
	);
	foreach (array('unbound', 'dnsmasq') as $resolver) {
		if (pfsquid_text($root, "$resolver/enable") === null) {
			continue;
		}
		$options = strval(pfsquid_text($root, "$resolver/custom_options"));
		$told['resolver'] = $resolver;
		$told['resolver_port'] = strval(pfsquid_text($root, "$resolver/port"));
		$told['resolver_options'] = $resolver === 'unbound' ? strval(base64_decode($options)) : $options;
		$told['overrides'] = array_map('pfsquid_fields', pfsquid_nodes($root, "$resolver/domainoverrides"));
		foreach (pfsquid_nodes($root, "$resolver/hosts") as $host) {
			$aliases = array_map('pfsquid_fields', pfsquid_nodes($host, 'aliases/item'));
			$told['hosts'][] = pfsquid_fields($host) + array('also' => $aliases);
		}
		break;
	}
	foreach (pfsquid_nodes($root, 'interfaces') as $interfaces) {
		foreach ($interfaces['below'] as $interface) {
			$wanted = array_flip(array('if', 'ipaddr', 'ipaddrv6'));
			$told['interfaces'][] = array('name' => $interface['tag']) + array_intersect_key(pfsquid_fields($interface), $wanted);
		}
	}
	return $told;
}
