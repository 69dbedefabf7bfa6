#!/bin/sh
# read_xml_tag.sh TYPE PATH: a field of config.xml, without PHP's config.inc; noise on stderr for who may not read it.
[ -r /cf/conf/config.xml ] || { echo "$0: /cf/conf/config.xml: Permission denied" >&2; exit 1; }
exec /usr/local/bin/php -r '
$at = simplexml_load_string((string) file_get_contents("/cf/conf/config.xml"));
foreach (explode("/", $argv[2]) as $tag) { $at = $at ? $at->{$tag} : null; }
echo $at, "\n";' -- "$@"
