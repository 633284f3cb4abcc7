"""CronJobs: start a Job whenever the schedule says so."""
