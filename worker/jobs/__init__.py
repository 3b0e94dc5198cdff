"""One module a job: take what is due, call one service, report."""
