"""Tests of the durable queues."""
