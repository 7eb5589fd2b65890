"""Durable queues: the committer that writes, the lanes that hand work out in order, and when to try again."""
