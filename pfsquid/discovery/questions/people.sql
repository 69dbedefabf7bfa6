-- title: People: what each uses in all, and when they last signed in through Entra ID
-- with: rollup counted traffic signed
SELECT
  coalesce(used.person_id, '(no user name)') AS person,
  people.display_name AS name,
  coalesce(used.apps, 0) AS apps,
  coalesce(used.unknown_domains, 0) AS unknown_domains,
  used.requests,
  used.denied,
  used.bytes_up,
  used.bytes_down,
  used.first_use,
  used.last_use,
  coalesce(date_format(signs.last_sign_in, '%Y-%m-%dT%H:%i:%sZ'), 'never') AS last_sign_in
FROM (
  SELECT
    person_id,
    count(DISTINCT CASE WHEN requests > 0 THEN app_id END) AS apps,
    count(DISTINCT CASE WHEN requests > 0 AND kind = 'unknown' THEN domain END) AS unknown_domains,
    CAST(sum(requests) AS bigint) AS requests,
    CAST(sum(denied) AS bigint) AS denied,
    CAST(sum(bytes_up) AS bigint) AS bytes_up,
    CAST(sum(bytes_down) AS bigint) AS bytes_down,
    min(first_use) AS first_use,
    max(last_use) AS last_use
  FROM traffic
  GROUP BY person_id
) used
LEFT JOIN people ON people.person_id = used.person_id
LEFT JOIN (
  SELECT identities.person_id, max(signins.created_at) AS last_sign_in
  FROM signins
  JOIN identities ON identities.identity = coalesce(signins.user_id, lower(signins.user_principal_name))
  WHERE signins.error_code = 0 AND signins.created_at < :until
  GROUP BY identities.person_id
) signs ON signs.person_id = used.person_id
ORDER BY used.requests DESC, person
