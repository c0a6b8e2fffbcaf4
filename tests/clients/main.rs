//! Real S3 clients against a real server; one client per file.

mod aws_cli;
mod boto3;
mod curl;
mod curl_cas;
mod s3_model;
mod s3cmd;
