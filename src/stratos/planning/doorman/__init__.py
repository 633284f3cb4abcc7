"""What the doorman decides: which requests are whose, when a workload is woken or put to sleep, why one still waits."""
