"""The way of TensorFlow's own `gs://` in a job to this emulator.

TensorFlow's client of Cloud Storage has Google's address as a constant, but heeds `https_proxy` and
`CURL_CA_BUNDLE` (curl_http_request.cc and libcurl). A job's proxy is the emulator. It ends the TLS
of TensorFlow's connections to Cloud Storage, by a certificate that only its jobs trust, and serves
them itself; it passes all others on.
"""
