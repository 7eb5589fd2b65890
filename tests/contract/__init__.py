"""Suites that every implementation of a seam must pass: storage engines, carrier kinds."""
