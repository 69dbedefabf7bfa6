-- Use by day, firewall, user name and host: whole days from the table usage, parts of days from the rows. moment: by which
-- moment it is told who bore the user name: the first use, or the beginning of a day with denied requests alone.
counted AS (
  SELECT *, coalesce(first_use, CAST(day AS timestamp with time zone)) AS moment
  FROM (
    SELECT day, firewall, user_name, host, requests, denied, bytes_up, bytes_down, first_use, last_use
    FROM usage
    WHERE :days
    UNION ALL
    SELECT day, firewall, user_name, host, requests, denied, bytes_up, bytes_down, first_use, last_use
    FROM counted_rows
  )
)
