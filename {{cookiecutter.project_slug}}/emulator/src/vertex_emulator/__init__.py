"""Google Cloud on loopback: Cloud Storage, Vertex AI and Cloud Logging as they are on the wire."""
