"""Telling applications what happened: what is POSTed (`payload`) and how it is delivered (`deliver`)."""
