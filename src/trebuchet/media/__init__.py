"""Pictures, sounds and other files of a message: where they come from, what they are, how they are made to fit.

fetch (from URLs) · hold (before the carrier's lane) · sniff (what octets are; pure) · burst (made once for many)
budget (how much each may keep; pure) · images (what is tried to make a picture fit; pure) · redraw (does it)
workers (has it done outside this process) · imagejobs, imageworker (what is said to them; their program)
names (names of media objects; pure) · contents (octets by their digest) · library (the objects of an account)
"""
