"""HTTP around the routes: validation, errors, authentication, headers, metrics and the OpenAPI document."""
