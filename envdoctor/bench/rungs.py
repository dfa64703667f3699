"""The ladder: the rungs of a benchmark in the order they are climbed, and how long each may take.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

# rung -> seconds it may take on a node once it has begun there. "join" takes what the user allows instead.
LIMITS = {
    "resolve": 5.0,  # the resolver's own default is 5 s a server
    "route": 1.0,
    "bind": 2.0,
    "connect": 60.0,
    "join": 60.0,
    "dial": 6.0,
    "bulk": 8.0,
    "torch": 60.0,  # a first import from a cold network file system
    "store": 15.0,
    "gloo": 20.0,
    "nccl": 60.0,
    "first": 15.0,
    "rest": 9.0,  # until nobody looks at the machines any longer; what is left then is measured beside
    "count": 6.0,
    "stream": 10.0,
    "large": 60.0,
    "sweep": 30.0,  # for one size
    "locate": 60.0,
}
RUNGS = tuple(LIMITS)
DONE = "done"
GRACE_S = 1.5  # once a node has failed, the others may still say what they saw
SILENT_S = 12.0  # an agent says something every second; one silent this long is lost
MUTE_S = 3.0  # one that owes an answer, and has not said anything for so long, is no longer there
SEGMENT = 536  # bytes of data that a packet may hold on any way there is (RFC 9293, 3.7.1)
ALIVE_S = 1.0
LINE = 4 << 20  # bytes, the longest line between agents
