"""Nodes that share a database: which of them owns which lane.

`shares` decides what a node should take and give up; `tenancy` keeps its leases and says when they are held.
"""
