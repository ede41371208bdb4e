"""An engine's work shared among workers and kept on disk: shards, executors, checkpoints."""
