"""Microsoft Entra ID: sign-ins as Microsoft Graph gives them."""
