"""Tenants: keys, secrets and settings."""
