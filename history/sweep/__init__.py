"""Side tables end: every table that only grows has a period after which its rows go."""
