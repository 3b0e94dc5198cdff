"""Messages by the million: imported with their own times, and exported."""
