"""EDGE: HTTP in, JSON out (aiohttp). It calls services, never stores, and never the worker."""
