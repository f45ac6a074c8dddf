"""What the interactive page draws, as ``static/payload.schema.json`` describes it."""
