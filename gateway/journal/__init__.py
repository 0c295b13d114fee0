"""The record of statements: an append-only journal on this machine's disk, and its way into the audit log.

`journal.Journal` is the `gateway.recording.Recorder` that there is: one stream for each worker process. `shipping` sends
what it wrote to the console's database and finishes the streams of workers that died. docs/gateway-record.md has the
format of the files.
"""
