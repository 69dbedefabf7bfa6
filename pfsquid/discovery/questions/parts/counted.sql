-- Use by day, firewall, user name and host: whole days from the table usage, parts of days from the rows.
counted AS (
  SELECT day, firewall, user_name, host, requests, denied, bytes_up, bytes_down, first_use, last_use
  FROM usage
  WHERE :days
  UNION ALL
  SELECT day, firewall, user_name, host, requests, denied, bytes_up, bytes_down, first_use, last_use
  FROM counted_rows
)
