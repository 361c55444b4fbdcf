//! Client tokens.
//!
//! The same token with the same parameters answers with the first call's result, with others it is an
//! error, and so it is when what the first call made is deleted (answers of AWS for CreateRouteTable,
//! captured in September 2026: radkawar/stackd, testdata/aws/ec2/route_table_idempotency.json; for
//! CreateNatGateway by analogy). Of the operations here only these two have tokens (botocore's EC2
//! model).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::nat_gateway::State;
use super::request::Request;
use super::{Ec2, NatGateway, RouteTable};
use crate::api_error::ApiError;
use crate::xml::Element;

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
pub(super) fn check(operation: &str, request: &Request<'_>) -> Result<(), ApiError> {
    if request.get("ClientToken").is_none() || OPERATIONS.contains(&operation) {
        return Ok(());
    }
    let message = "The parameter ClientToken is not recognized";
    Err(ApiError::client("UnknownParameter", message))
}

/// botocore's EC2 model, CreateNatGateway.
const LENGTH_MAX: usize = 64;

/// The request's token. A blank one is none; blanks around another do not count, but for its length
/// (the same file, and network_creation_whitespace.json and network_creation_token_length.json there).
fn token<'a>(request: &'a Request<'_>) -> Result<Option<&'a str>, ApiError> {
    let Some(token) = request.get("ClientToken") else {
        return Ok(None);
    };
    let trimmed = token.trim();
    if trimmed.is_empty() && !token.is_empty() {
        return Ok(None);
    }
    if token.is_empty() || token.len() > LENGTH_MAX || !token.is_ascii() {
        let message = format!("Value ({token}) for parameter clientToken is invalid");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(Some(trimmed))
}

/// The element of an answer that says the token again; none if there is none.
pub(super) fn echo(request: &Request<'_>) -> Option<Element> {
    let token = token(request).ok().flatten();
    token.map(|token| Element::text("clientToken", token))
}

impl Ec2 {
    /// What an earlier call with the same token made.
    pub(super) fn earlier(
        &self,
        operation: &str,
        request: &Request<'_>,
    ) -> Result<Option<&Created>, ApiError> {
        let Some(token) = token(request)? else {
            return Ok(None);
        };
        let mismatch = |message| Err(ApiError::client("IdempotentParameterMismatch", message));
        match self.tokens.get(&key(operation, token)) {
            None => Ok(None),
            Some(earlier) if earlier.parameters != parameters(request) => {
                mismatch(format!("Wrong arguments for request with token {token}"))
            }
            Some(earlier) if self.is_deleted(&earlier.result, request.now) => mismatch(format!(
                "Client token {token} was used in a prior request that was associated with a \
                 resource which is now deleted."
            )),
            Some(earlier) => Ok(Some(&earlier.result)),
        }
    }

    fn is_deleted(&self, made: &Created, now: Timestamp) -> bool {
        match made {
            Created::RouteTable(table) => !self.route_tables.contains_key(&table.id),
            Created::NatGateway(gateway) => {
                let gateway = self.nat_gateways.get(&gateway.id);
                gateway.is_none_or(|gateway| gateway.state(now) == State::Deleted)
            }
        }
    }

    /// Remembers what a call made.
    pub(super) fn remember(&mut self, operation: &str, request: &Request<'_>, result: Created) {
        if let Ok(Some(token)) = token(request) {
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
    use crate::ec2::testing::{World, code};
    use crate::params::Params;
    use crate::{Seed, State, state::Context};

    #[tokio::test(start_paused = true)]
    async fn blank_token_is_none_and_blanks_around_one_do_not_count() {
        let world = World::new();
        let vpc = world.vpc().await;
        let create = |token: &str| {
            let call = world.ec2.create_route_table().vpc_id(&vpc);
            call.client_token(token).send()
        };
        let id = |made: &aws_sdk_ec2::operation::create_route_table::CreateRouteTableOutput| {
            let table = made.route_table.as_ref().unwrap();
            table.route_table_id.clone().unwrap()
        };
        let first = create("t").await.unwrap();
        let padded = create(" t ").await.unwrap();
        assert_eq!(id(&padded), id(&first));
        assert_eq!(padded.client_token.as_deref(), Some("t"));
        for blank in [" ".to_owned(), " ".repeat(65)] {
            let one = create(&blank).await.unwrap();
            let other = create(&blank).await.unwrap();
            assert_ne!(id(&one), id(&other));
            assert_eq!(one.client_token, None);
        }
        let long = format!("{}  ", "t".repeat(63));
        for wrong in ["", "\u{e9}", &long] {
            let refused = create(wrong).await;
            assert_eq!(code(refused), "InvalidParameterValue", "{wrong}");
        }
    }

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
                injected_error: None,
                next_calls: &mut Vec::new(),
                now: jiff::Timestamp::UNIX_EPOCH,
                account: "111122223333".to_owned(),
                region: "us-east-1".to_owned(),
                access_key: String::new(),
                seed: Seed(1),
                state: &mut state,
            };
            let error = handle(&mut context, operation, &params).unwrap_err();
            assert_eq!(error.code, "UnknownParameter", "{operation}");
        }
    }
}
