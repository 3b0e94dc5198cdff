"""Files that messages refer to: uploaded, read by those who may see such a message, gone when nothing needs them."""
