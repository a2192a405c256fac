"""Vertex ML Metadata: stores of contexts, executions and artifacts, and what connects them."""
