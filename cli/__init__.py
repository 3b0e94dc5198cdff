"""The command `tidemark`: starts all of it, or one part, and keeps the apps."""
