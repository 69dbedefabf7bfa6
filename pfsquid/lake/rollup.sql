-- What of the access log counts as use of a host, by day, firewall and user name: the one definition, from which the
-- table `usage` is built and by which questions count the days that it does not hold. A challenge (407) is none, a denied
-- request is none but is counted beside it, and the CONNECT line that Squid adds when it peeks into TLS would count a
-- tunnel twice. Who only ever made such requests has a row with zeros, so that every host and user name is there.
counted_rows AS (
  SELECT
    day,
    firewall,
    user_name,
    host,
    CAST(count_if(used) AS bigint) AS requests,
    CAST(count_if(denied) AS bigint) AS denied,
    CAST(sum(CASE WHEN used THEN greatest(bytes_up, 0) END) AS bigint) AS bytes_up,
    CAST(sum(CASE WHEN used THEN greatest(bytes_down, 0) END) AS bigint) AS bytes_down,
    min(CASE WHEN used THEN ts END) AS first_use,
    max(CASE WHEN used THEN ts END) AS last_use,
    CAST(coalesce(bitwise_or_agg(CASE WHEN used THEN CAST(power(2, hour(ts)) AS bigint) END), 0) AS int) AS hours
  FROM (
    SELECT
      CAST(ts AS date) AS day,
      ts,
      firewall,
      user_name,
      host,
      bytes_up,
      bytes_down,
      coalesce(
        action NOT LIKE '%DENIED%'
          AND coalesce(status, 0) <> 407
          AND NOT (method = 'CONNECT' AND status = 200 AND action IN ('NONE', 'NONE_NONE', 'TAG_NONE')),
        false
      ) AS used,
      coalesce(action LIKE '%DENIED%' AND coalesce(status, 0) <> 407, false) AS denied
    FROM proxy
    WHERE :rows
  )
  GROUP BY day, firewall, user_name, host
)
