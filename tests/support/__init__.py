"""What several test modules share: problems, oracles of many digits, child processes, refusals."""
