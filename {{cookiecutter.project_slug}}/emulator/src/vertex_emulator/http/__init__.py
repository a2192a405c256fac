"""HTTP/1.1 on a socket: what the gateway and the model server have in common."""
