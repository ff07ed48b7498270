"""Export and import tables as files in buckets, in the service's layout, and send changes to Kinesis streams.

buckets     the buckets: directories, S3 or another object store with its protocol, or memory
lines       an item as a line: DynamoDB JSON and Ion text
exports     the jobs that write a table's state at a moment, or its changes in a window
imports     the jobs that make a table of files
kinesis     the streams: Kinesis, or files of JSON lines
destinations   sends the changes of tables to streams
sources     the records of files: read, expanded (compression), split and parsed (parsing) piece by piece
"""
