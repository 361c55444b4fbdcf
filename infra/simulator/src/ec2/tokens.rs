//! Client tokens.
//!
//! EC2 API reference, ensuring idempotency: the same token with the same parameters answers with the
//! first call's result, with others it is an error. Of the operations here only CreateNatGateway and
//! CreateRouteTable have tokens (botocore's EC2 model).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::{Request, invalid_value};
use super::{Ec2, NatGateway, RouteTable};
use crate::fault::Fault;

/// A token that was used: for what, and with which result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Use {
    parameters: Value,
    result: Created,
}

/// What a call with a token made, as it was then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Created {
    NatGateway(NatGateway),
    RouteTable(RouteTable),
}

/// The operations with a token (botocore's EC2 model).
const OPERATIONS: &[&str] = &["CreateNatGateway", "CreateRouteTable"];

/// Refuses a token where there is none (EC2 API reference, error codes: UnknownParameter).
pub(super) fn check(operation: &str, request: &Request<'_>) -> Result<(), Fault> {
    if request.get("ClientToken").is_none() || OPERATIONS.contains(&operation) {
        return Ok(());
    }
    let message = "The parameter ClientToken is not recognized";
    Err(Fault::client("UnknownParameter", message))
}

/// botocore's EC2 model, CreateNatGateway.
const LENGTH_MAX: usize = 64;

impl Ec2 {
    /// What an earlier call with the same token made.
    pub(super) fn earlier(
        &self,
        operation: &str,
        request: &Request<'_>,
    ) -> Result<Option<&Created>, Fault> {
        let Some(token) = request.get("ClientToken") else {
            return Ok(None);
        };
        if token.len() > LENGTH_MAX || !token.is_ascii() {
            let why = format!("It must be at most {LENGTH_MAX} ASCII characters.");
            return Err(invalid_value("ClientToken", token, &why));
        }
        match self.tokens.get(&key(operation, token)) {
            None => Ok(None),
            Some(earlier) if earlier.parameters == parameters(request) => Ok(Some(&earlier.result)),
            Some(_) => Err(Fault::client(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, but non-identical request.",
            )),
        }
    }

    /// Remembers what a call made.
    pub(super) fn remember(&mut self, operation: &str, request: &Request<'_>, result: Created) {
        if let Some(token) = request.get("ClientToken") {
            let parameters = parameters(request);
            self.tokens
                .insert(key(operation, token), Use { parameters, result });
        }
    }
}

fn key(operation: &str, token: &str) -> String {
    format!("{operation}/{token}")
}

fn parameters(request: &Request<'_>) -> Value {
    let mut parameters = request.params.to_json();
    if let Value::Object(members) = &mut parameters {
        members.retain(|name, _| !["ClientToken", "Version"].contains(&name.as_str()));
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::super::handle;
    use crate::params::Params;
    use crate::{Seed, State, state::Context};

    #[test]
    fn operations_without_a_token_do_not_know_the_parameter() {
        let mut state = State::default();
        for operation in [
            "CreateVpc",
            "CreateSubnet",
            "CreateInternetGateway",
            "AllocateAddress",
        ] {
            let params = Params::parse(b"ClientToken=t&CidrBlock=10.0.0.0/16");
            let mut context = Context {
                refusal: None,
                now: jiff::Timestamp::UNIX_EPOCH,
                account: "111122223333".to_owned(),
                region: "us-east-1".to_owned(),
                access_key: String::new(),
                seed: Seed(1),
                state: &mut state,
            };
            let fault = handle(&mut context, operation, &params).unwrap_err();
            assert_eq!(fault.code, "UnknownParameter", "{operation}");
        }
    }
}
