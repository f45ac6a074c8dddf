"""The command line: parses arguments, calls the library and prints its results.

``main`` runs it and turns exceptions into messages and exit codes; ``application`` lists the commands, each
in a module of its own. Nothing here imports torch, transformers, matplotlib or rich at import time, so that
``--help`` is fast.
"""
