"""The local cloud: a stand-in for AWS on one machine, in a process of its own.

moto answers the calls; what moto leaves out (machines that boot, tasks that are placed, nodes that run, stacks that
take time, capacity that isn't there) is done beside it, in the same process. Start one with `cloud.start()`.
"""
