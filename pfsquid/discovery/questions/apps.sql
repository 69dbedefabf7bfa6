-- title: SaaS apps in use: by how many people, how much goes down and up
-- with: rollup counted traffic
SELECT
  apps.app_id AS app,
  apps.name,
  apps.category,
  apps.risk,
  apps.tag,
  apps.federated,
  count(DISTINCT CASE WHEN traffic.requests > 0 THEN traffic.person_id END) AS people,
  CAST(sum(traffic.requests) AS bigint) AS requests,
  CAST(sum(traffic.denied) AS bigint) AS denied,
  CAST(sum(traffic.bytes_up) AS bigint) AS bytes_up,
  CAST(sum(traffic.bytes_down) AS bigint) AS bytes_down,
  min(traffic.first_use) AS first_use,
  max(traffic.last_use) AS last_use
FROM traffic
JOIN apps ON apps.app_id = traffic.app_id
GROUP BY apps.app_id, apps.name, apps.category, apps.risk, apps.tag, apps.federated
ORDER BY people DESC, requests DESC, app
