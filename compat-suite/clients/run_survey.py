"""Which operations of S3's model an endpoint knows: one call of each, by botocore.

An operation passes where it is answered in any way but `501 NotImplemented`; what the answer is
worth is for the other runners to say.
"""

import datetime
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from material import *
from outcomes import CASES, holds, run

# What no shape tells.
VALUES = {"Key": "survey", "UploadId": "no-such-upload", "PartNumber": 1, "ExpressionType": "SQL", "Expression": "x"}
LITERALS = {
    "string": "x", "integer": 1, "long": 1, "boolean": False, "blob": b"x", "float": 1.0, "double": 1.0,
    "timestamp": datetime.datetime(2030, 1, 1),
}
# On hosts of their own, which no endpoint of S3 is.
ELSEWHERE = {"WriteGetObjectResponse"}


class Subject:
    """A client, and a bucket with one object."""

    def __init__(self):
        settings = Config(
            signature_version="s3v4", retries={"max_attempts": 0}, s3={"addressing_style": "path"},
            inject_host_prefix=False, parameter_validation=False, disable_request_compression=True,
        )
        self.s3 = boto3.client(
            "s3", endpoint_url=ENDPOINT, region_name=REGION, config=settings,
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        )
        self.bucket = fresh_bucket("survey")
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_object(Bucket=self.bucket, Key="survey", Body=b"x")

    def value(self, name, shape):
        """Something of this shape, with what it must have and no more."""
        if name == "Bucket":
            return self.bucket
        if name in ("CopySource", "RenameSource"):
            return f"{self.bucket}/survey"
        if name in VALUES:
            return VALUES[name]
        if shape.type_name == "structure":
            return {member: self.value(member, shape.members[member]) for member in shape.required_members}
        if shape.type_name == "list":
            return [self.value("", shape.member)]
        if shape.type_name == "map":
            return {}
        return shape.enum[0] if getattr(shape, "enum", None) else LITERALS[shape.type_name]

    def ask(self, operation):
        model = self.s3.meta.service_model.operation_model(operation)
        wanted = self.value("", model.input_shape) if model.input_shape else {}
        try:
            self.s3._make_api_call(operation, wanted)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = error.response["Error"]["Code"]
            holds(status != 501 and code != "NotImplemented", f"{status} {code}")


if __name__ == "__main__":
    subject = Subject()
    for operation in subject.s3.meta.service_model.operation_names:
        if operation not in ELSEWHERE:
            CASES.append((operation, "is answered", lambda t, operation=operation: t.ask(operation)))
    run("survey", boto3.__version__, subject)
