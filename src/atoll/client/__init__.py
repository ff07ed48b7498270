"""A client of any endpoint that speaks DynamoDB's protocol: Atoll, the service, DynamoDB Local.

    client = Client(resolve())                               # from the environment and the AWS files
    client = Client(resolve("eu-west-1", profile="prod"))    # the service in a region
    table = client.call("DescribeTable", TableName="Orders")["Table"]

Parameters and answers are the JSON of the protocol: a binary value is base64, a time is a number. Threads may share a
client.

    endpoint      which URL, region and credentials to use
    options       the options that name an endpoint
    profiles      the AWS configuration files
    credentials   access keys: of the environment, of profiles, of botocore where it is installed
    connections   HTTP connections, kept alive
    client        calls: signed, retried after transient faults
    failures      how a call can fail
"""

from atoll.client.client import Client
from atoll.client.endpoint import resolve

__all__ = ["Client", "resolve"]
