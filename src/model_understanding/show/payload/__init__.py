"""The data of the interactive page, as described by ``static/payload.schema.json``."""
