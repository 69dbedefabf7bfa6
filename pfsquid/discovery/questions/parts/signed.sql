-- Successful sign-ins through Entra ID, by person and app of the catalogue.
signed AS (
  SELECT
    identities.person_id,
    signin_apps.app_id,
    count(*) AS sign_ins,
    max(signins.created_at) AS last_sign_in
  FROM signins
  JOIN identities ON identities.identity = coalesce(signins.user_id, lower(signins.user_principal_name))
  JOIN signin_apps ON signin_apps.signin_app = coalesce(signins.app_id, '') || '|' || coalesce(signins.app_name, '')
  WHERE signins.error_code = 0 AND signins.created_at < :until
  GROUP BY identities.person_id, signin_apps.app_id
)
