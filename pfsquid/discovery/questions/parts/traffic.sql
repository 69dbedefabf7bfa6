-- Use by people: computers and service accounts left out. Who came without a user name is one nobody for all.
traffic AS (
  SELECT
    usage.*,
    principals.person_id,
    hosts.domain,
    hosts.kind,
    hosts.app_id
  FROM usage
  JOIN hosts ON hosts.host = usage.host
  LEFT JOIN principals ON principals.user_name = usage.user_name
  WHERE coalesce(principals.kind, 'person') = 'person'
    AND (:app IS NULL OR hosts.app_id = :app)
    AND (:person IS NULL OR principals.person_id = :person)
)
