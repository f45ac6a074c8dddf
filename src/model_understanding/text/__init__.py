"""Texts, chats and continuations as the model's input tokens."""
