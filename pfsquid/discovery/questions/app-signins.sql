-- title: Each person's apps beside their sign-ins: who uses an app without ever signing in through Entra ID
-- with: rollup counted traffic signed
SELECT
  traffic.person_id AS person,
  people.display_name AS name,
  apps.app_id AS app,
  apps.name AS app_name,
  apps.tag,
  apps.federated,
  count(DISTINCT CASE WHEN traffic.requests > 0 THEN traffic.day END) AS days,
  CAST(sum(traffic.requests) AS bigint) AS requests,
  CAST(sum(traffic.denied) AS bigint) AS denied,
  CAST(sum(traffic.bytes_up) AS bigint) AS bytes_up,
  CAST(sum(traffic.bytes_down) AS bigint) AS bytes_down,
  min(traffic.first_use) AS first_use,
  max(traffic.last_use) AS last_use,
  coalesce(max(signed.sign_ins), 0) AS sign_ins,
  coalesce(date_format(max(signed.last_sign_in), '%Y-%m-%dT%H:%i:%sZ'), 'never') AS last_sign_in
FROM traffic
JOIN apps ON apps.app_id = traffic.app_id
JOIN people ON people.person_id = traffic.person_id
LEFT JOIN signed ON signed.person_id = traffic.person_id AND signed.app_id = traffic.app_id
GROUP BY traffic.person_id, people.display_name, apps.app_id, apps.name, apps.tag, apps.federated
ORDER BY CASE WHEN max(signed.last_sign_in) IS NOT NULL THEN 2 WHEN apps.federated THEN 0 ELSE 1 END, bytes_up DESC NULLS LAST, bytes_down DESC NULLS LAST, person, app
