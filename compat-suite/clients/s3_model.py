"""Prints what botocore's model of S3 says of requests, as JSON: one object per operation."""

import json

import botocore.session

model = botocore.session.Session().get_service_model("s3")


def describe(name):
    operation = model.operation_model(name)
    path, _, query = operation.http["requestUri"].partition("?")
    fixed = [pair.partition("=")[0] for pair in query.split("&") if pair]
    read, required, headers = [], [], []
    shape = operation.input_shape
    for member, value in (shape.members if shape else {}).items():
        place = value.serialization.get("location")
        wire_name = value.serialization.get("name", member)
        if place == "querystring":
            (required if member in shape.required_members else read).append(wire_name)
        elif place == "header":
            headers.append(wire_name.lower())
    return {
        "name": name,
        "method": operation.http["method"],
        "path": path,
        "fixed": fixed,
        "required": required,
        "read": read,
        "headers": headers,
    }


print(json.dumps([describe(name) for name in model.operation_names]))
