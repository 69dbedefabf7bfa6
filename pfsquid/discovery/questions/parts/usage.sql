-- What counts as use of a host, by day, firewall and user name. A challenge (407) is none, a denied request is none but
-- is counted beside it, and the CONNECT line that Squid adds when it peeks into TLS would count a tunnel twice.
usage AS (
  SELECT
    day,
    firewall,
    user_name,
    host,
    count_if(used) AS requests,
    count_if(denied) AS denied,
    sum(CASE WHEN used THEN greatest(bytes_up, 0) END) AS bytes_up,
    sum(CASE WHEN used THEN greatest(bytes_down, 0) END) AS bytes_down,
    min(CASE WHEN used THEN ts END) AS first_use,
    max(CASE WHEN used THEN ts END) AS last_use
  FROM (
    SELECT
      CAST(ts AS date) AS day,
      ts,
      firewall,
      user_name,
      host,
      bytes_up,
      bytes_down,
      action NOT LIKE '%DENIED%'
        AND coalesce(status, 0) <> 407
        AND NOT (method = 'CONNECT' AND status = 200 AND action IN ('NONE', 'NONE_NONE', 'TAG_NONE')) AS used,
      action LIKE '%DENIED%' AND coalesce(status, 0) <> 407 AS denied
    FROM proxy
    WHERE host IS NOT NULL AND ts >= :since AND ts < :until
  )
  WHERE used OR denied
  GROUP BY day, firewall, user_name, host
)
