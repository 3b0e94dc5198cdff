"""What a device is still to be given: missed messages, compensation, and the cleans it has not heard of."""
