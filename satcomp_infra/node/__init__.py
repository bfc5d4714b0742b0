"""The node runtime: what runs in a leader's or a worker's container (`python -m satcomp_infra.node leader|worker`).

A leader takes jobs from the queue, runs the team's solver and stores the results; a worker runs the team's worker
program and tells the leader how it is. Neither knows which cloud it is in: where AWS is, botocore decides.
"""
