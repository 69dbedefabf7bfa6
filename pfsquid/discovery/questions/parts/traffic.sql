-- Use by people: computers and service accounts left out. Who came without a user name is one nobody for all.
traffic AS (
  SELECT
    counted.*,
    principals.person_id,
    hosts.domain,
    hosts.kind,
    hosts.app_id
  FROM counted
  JOIN hosts ON hosts.host = counted.host
  LEFT JOIN principals ON principals.user_name = counted.user_name
  WHERE counted.requests + counted.denied > 0
    AND coalesce(principals.kind, 'person') = 'person'
    AND (:app IS NULL OR hosts.app_id = :app)
    AND (:person IS NULL OR principals.person_id = :person)
)
