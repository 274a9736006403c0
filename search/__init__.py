"""Searches architectures and learning settings for the best models of one or several amps.

config: a search as data. optimizer: what to try next and what to stop. storage: files behind a URI. study: one
study, from the record of its trials to the board. backends: who trains trials. report: the board for people. run:
one search on this machine, from config to board. launch: where a search runs.
"""
