"""Texts, chats and continuations as a model's input tokens."""
