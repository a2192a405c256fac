"""Vertex AI v1: custom jobs, models and their versions, endpoints, long-running operations."""
