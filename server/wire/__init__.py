"""The requests and answers of the API, one module a subject."""
