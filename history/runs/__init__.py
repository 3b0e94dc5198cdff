"""What each minute of the retention job did, and whether it keeps up."""
