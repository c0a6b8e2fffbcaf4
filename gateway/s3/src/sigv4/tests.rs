//! Three families: the rules, one named test each; the official signer as oracle; and requests that
//! real clients sent.

mod clients;
mod diagnosis;
mod oracle;
mod rules;

use super::*;
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::testing::{NOW, OneKey, REGION, Request};

fn verify(head: &Head) -> Result<Authenticated, S3Error> {
    Verifier::new(REGION).verify(head, &OneKey, NOW)
}

fn refusal(head: &Head) -> Code {
    verify(head).unwrap_err().code()
}
