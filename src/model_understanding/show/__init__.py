"""Views of results: figures (matplotlib), the terminal (rich), pages and notebooks (HTML).

Nothing here imports torch or transformers, and nothing changes the user's matplotlib settings.
"""
