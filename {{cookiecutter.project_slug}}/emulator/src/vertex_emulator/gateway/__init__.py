"""Online predictions on the event loop: from a client's socket to a replica's and back.

`front` reads what clients send, `gateway` knows the endpoints and chooses a deployed model by the
traffic split, `pool` chooses one of its replicas or lets a request wait, `upstream` carries it
there. Nothing in here touches the disk or a process; `vertex/fleet.py` tells the pools of replicas.
"""
