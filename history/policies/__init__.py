"""What admins decide about keeping: holds that keep everything, policies that let nothing grow too old."""
