-- title: Domains that no app of the catalogue and no known advertising, analytics or CDN host explains
-- with: rollup counted traffic
-- without: app
SELECT
  domain,
  count(DISTINCT CASE WHEN requests > 0 THEN person_id END) AS people,
  count(DISTINCT host) AS hosts,
  min(host) AS example_host,
  CAST(sum(requests) AS bigint) AS requests,
  CAST(sum(denied) AS bigint) AS denied,
  CAST(sum(bytes_up) AS bigint) AS bytes_up,
  CAST(sum(bytes_down) AS bigint) AS bytes_down,
  min(first_use) AS first_use,
  max(last_use) AS last_use
FROM traffic
WHERE kind = 'unknown'
GROUP BY domain
ORDER BY bytes_up DESC NULLS LAST, bytes_down DESC NULLS LAST, domain
