"""Work over many channels or messages, in steps that a crash does not undo."""
