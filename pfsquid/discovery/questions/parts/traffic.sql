-- Use by people: computers and service accounts left out. Who came without a user name is one nobody for all. The spans
-- of a user name follow each other without a gap, so that each row has one meaning, and sums stay what they are.
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
    AND (principals.valid_from IS NULL OR principals.valid_from <= counted.moment)
    AND (principals.valid_to IS NULL OR principals.valid_to > counted.moment)
  WHERE counted.requests + counted.denied > 0
    AND coalesce(principals.kind, 'person') = 'person'
    AND (:app IS NULL OR hosts.app_id = :app)
    AND (:person IS NULL OR principals.person_id = :person)
)
