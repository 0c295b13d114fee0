"""The query gateway: identify, authorise, record the intent, run under limits, record the outcome."""
