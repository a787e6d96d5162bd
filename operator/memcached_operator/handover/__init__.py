"""Hand the items of a pod that must go over to the pod that takes its place.

Who copies? Not the operator: it would carry every item of every cache twice, need a way to all pods, and lose its place
when it restarts. A *spare pod* does it on its own: a memcached that only that pod can reach, beside a container with
the operator's image (`python -m memcached_operator.handover`). It copies the old pod's items while that still serves
(`outward`), gets ready when it has everything, follows the old pod to its end, waits for the new one, copies back
(`homeward`), and ends with the counts as its termination message. Its memory is bounded by a batch of items and a set
of keys; the cache itself is the spare memcached's.

The operator makes the spare pod, deletes the old pod when the spare is ready, and the spare when it has ended
(`spare`, `step`). All it knows is what the pods say, so it may be restarted at any time.
"""
