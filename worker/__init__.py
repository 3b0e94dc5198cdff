"""EDGE: jobs in, reports out (arq). It calls services, never stores, and never the server."""
