"""Where messages go: types, keys, derived ids, participants."""
