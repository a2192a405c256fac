"""Clients of the endpoint in other languages, and its OpenAPI document."""
