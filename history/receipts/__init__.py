"""What a clean did, would do, and why a message is where it is: in numbers and sentences."""
