-- title: Who uses which app, and how much
-- with: rollup counted traffic
SELECT
  apps.app_id AS app,
  apps.name AS app_name,
  coalesce(traffic.person_id, '(no user name)') AS person,
  people.display_name AS name,
  CAST(sum(traffic.requests) AS bigint) AS requests,
  CAST(sum(traffic.denied) AS bigint) AS denied,
  CAST(sum(traffic.bytes_up) AS bigint) AS bytes_up,
  CAST(sum(traffic.bytes_down) AS bigint) AS bytes_down,
  min(traffic.first_use) AS first_use,
  max(traffic.last_use) AS last_use
FROM traffic
JOIN apps ON apps.app_id = traffic.app_id
LEFT JOIN people ON people.person_id = traffic.person_id
GROUP BY apps.app_id, apps.name, traffic.person_id, people.display_name
ORDER BY app, requests DESC, person
