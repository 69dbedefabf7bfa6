-- title: User names of the log that match nobody, and why
-- with: rollup counted
SELECT
  principals.user_name,
  principals.kind,
  CASE principals.kind
    WHEN 'computer' THEN 'a computer or managed service account'
    WHEN 'service' THEN 'named under people.services'
    ELSE principals.reason
  END AS reason,
  CAST(sum(counted.requests) AS bigint) AS requests,
  min(counted.first_use) AS first_use,
  max(counted.last_use) AS last_use
FROM counted
JOIN principals ON principals.user_name = counted.user_name
  AND (principals.valid_from IS NULL OR principals.valid_from <= counted.moment)
  AND (principals.valid_to IS NULL OR principals.valid_to > counted.moment)
WHERE principals.kind <> 'person' OR principals.reason <> ''
GROUP BY principals.user_name, principals.kind, principals.reason
ORDER BY CASE principals.kind WHEN 'person' THEN 0 WHEN 'service' THEN 1 ELSE 2 END, requests DESC, user_name, reason
