"""Handlers: parse, one service call, render."""
