//! Service Quotas: what the simulated services allow, as they enforce it.
//!
//! Values are read from where they are enforced ([`crate::ec2::Quotas`], [`crate::eks::Quotas`]), so that a
//! test that changes one changes what is answered. Quotas cannot be raised here: support does that.

mod table;
#[cfg(test)]
pub(crate) mod testing;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::api_error::ApiError;
use crate::state::Context;
use crate::wire::aws_json::Operations;

use table::{QUOTAS, Quota, Values};

/// All operations, by their names.
pub(crate) const OPERATIONS: Operations = Operations(&[
    ("GetServiceQuota", get),
    ("GetAWSDefaultServiceQuota", get_default),
    ("ListServiceQuotas", list),
]);

/// botocore's Service Quotas model, MaxResults.
const RESULTS_MAX: usize = 100;

/// botocore's Service Quotas model, GetServiceQuotaRequest.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    service_code: String,
    quota_code: String,
}

/// botocore's Service Quotas model, ListServiceQuotasRequest.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    service_code: String,
    quota_code: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn read<T: DeserializeOwned>(input: &Value) -> Result<T, ApiError> {
    T::deserialize(input).map_err(|error| illegal_argument(&error.to_string()))
}

fn illegal_argument(message: &str) -> ApiError {
    ApiError::client("IllegalArgumentException", message)
}

fn no_such_resource(message: &str) -> ApiError {
    ApiError::client("NoSuchResourceException", message)
}

/// `GetServiceQuota`.
fn get(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let quota = find(&read(input)?)?;
    let value = (quota.value)(&Values::of(context));
    Ok(json!({"Quota": quota.to_json(context, value)}))
}

/// `GetAWSDefaultServiceQuota`: what an account has that nobody has asked for more.
fn get_default(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let quota = find(&read(input)?)?;
    let value = (quota.value)(&Values::default());
    Ok(json!({"Quota": quota.to_json(context, value)}))
}

fn find(asked: &Get) -> Result<&'static Quota, ApiError> {
    let is_asked = |it: &&Quota| it.service == asked.service_code && it.code == asked.quota_code;
    let missing =
        || no_such_resource("The request failed because the specified quota doesn't exist.");
    QUOTAS.iter().find(is_asked).ok_or_else(missing)
}

/// `ListServiceQuotas`, in pages.
fn list(context: &mut Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let asked: List = read(input)?;
    let of_service = || QUOTAS.iter().filter(|it| it.service == asked.service_code);
    if of_service().next().is_none() {
        let message = "The request failed because the specified service doesn't exist.";
        return Err(no_such_resource(message));
    }
    let limit = asked.max_results.unwrap_or(RESULTS_MAX);
    if !(1..=RESULTS_MAX).contains(&limit) {
        return Err(illegal_argument("MaxResults must be between 1 and 100."));
    }
    let start: usize = match asked.next_token.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(start)) => start,
        Some(Err(_)) => {
            let message = "Invalid token was provided.";
            return Err(ApiError::client("InvalidPaginationTokenException", message));
        }
    };
    let code = asked.quota_code.as_deref();
    let quotas = of_service().filter(|it| code.is_none_or(|code| code == it.code));
    let mut rest: Vec<&Quota> = quotas.skip(start).collect();
    let has_more = rest.len() > limit;
    rest.truncate(limit);
    let values = Values::of(context);
    let quotas = rest
        .iter()
        .map(|quota| quota.to_json(context, (quota.value)(&values)));
    let mut output = Map::new();
    output.insert("Quotas".to_owned(), quotas.collect());
    if has_more {
        output.insert("NextToken".to_owned(), (start + limit).to_string().into());
    }
    Ok(Value::Object(output))
}

#[cfg(test)]
mod tests {
    use super::testing::{ACCOUNT, REGION, World, code};

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_what_is_enforced() {
        let world = World::new();
        let value = async || {
            let call = world.quotas.get_service_quota().service_code("ec2");
            let answer = call.quota_code("L-0263D0A3").send().await.unwrap();
            answer.quota.unwrap().value.unwrap()
        };
        assert!((value().await - 5.0).abs() < f64::EPSILON);
        world.simulator.change(|state| {
            let account = state.accounts.entry(ACCOUNT.to_owned()).or_default();
            let region = account.regions.entry(REGION.to_owned()).or_default();
            region.ec2.quotas.addresses = 2;
        });
        assert!((value().await - 2.0).abs() < f64::EPSILON);
        let call = world.quotas.get_aws_default_service_quota();
        let call = call.service_code("ec2").quota_code("L-0263D0A3");
        let default = call.send().await.unwrap().quota.unwrap();
        assert_eq!(default.value.map(f64::to_bits), Some(5.0_f64.to_bits()));
        assert_eq!(default.quota_name(), Some("EC2-VPC Elastic IPs"));
    }

    #[tokio::test(start_paused = true)]
    async fn quotas_of_a_service_are_listed_in_pages() {
        let world = World::new();
        let list = || world.quotas.list_service_quotas().service_code("vpc");
        let all = list().send().await.unwrap();
        let first = list().max_results(1).send().await.unwrap();
        assert_eq!(first.quotas().len(), 1);
        let token = first.next_token.unwrap();
        let second = list().max_results(1).next_token(token);
        let second = second.send().await.unwrap();
        assert_eq!(second.quotas(), &all.quotas()[1..2]);
        assert_eq!(all.next_token(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_quota_is_refused() {
        let world = World::new();
        let get = |service: &str, quota: &str| {
            let call = world.quotas.get_service_quota();
            call.service_code(service).quota_code(quota).send()
        };
        let no_such = "NoSuchResourceException";
        assert_eq!(code(get("ec2", "L-00000000").await), no_such);
        assert_eq!(code(get("vpc", "L-0263D0A3").await), no_such);
        let list = world.quotas.list_service_quotas();
        assert_eq!(code(list.service_code("x").send().await), no_such);
        let list = || world.quotas.list_service_quotas().service_code("vpc");
        let many = list().max_results(101).send().await;
        assert_eq!(code(many), "IllegalArgumentException");
        let token = list().next_token("x").send().await;
        assert_eq!(code(token), "InvalidPaginationTokenException");
    }
}
