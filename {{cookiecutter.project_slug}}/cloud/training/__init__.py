"""Training jobs: what is sent, what they print, what they cost."""
