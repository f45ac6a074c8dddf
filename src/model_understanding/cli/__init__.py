"""The command line: parse, call, print.

``entry`` runs it and turns what goes wrong into a message and an exit code; ``application`` lists the
commands; one command a file. Nothing here imports torch, transformers or matplotlib at import time, so
that ``--help`` answers at once.
"""
