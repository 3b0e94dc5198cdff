"""Messages: appended once, read as history."""
