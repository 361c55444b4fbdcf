//! Client request tokens.
//!
//! botocore's EKS model, clientRequestToken: it makes a request idempotent. The same token with the same
//! parameters answers with what the first request made, as it is now. EKS does not document what it
//! says of the same token with other parameters; here it is `InvalidParameterException`, which all of
//! these operations have. A token is forgotten with what it made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::invalid_parameter;
use super::request::Request;
use crate::fault::Fault;

/// The token of a request that made something, and that request's parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Token {
    text: String,
    parameters: Value,
}

/// ansible-collections/community.aws pull request 844, of CreateCluster; taken to hold everywhere.
const LENGTH: std::ops::RangeInclusive<usize> = 33..=126;

impl Token {
    /// The token of a request, if it has one.
    pub(super) fn of(request: &Request<'_>) -> Result<Option<Self>, Fault> {
        let Some(text) = request.body["clientRequestToken"].as_str() else {
            return Ok(None);
        };
        if !LENGTH.contains(&text.chars().count()) {
            return Err(invalid_parameter(&format!(
                "The client request token parameter must be between {} and {} characters.",
                LENGTH.start(),
                LENGTH.end()
            )));
        }
        Ok(Some(Self {
            text: text.to_owned(),
            parameters: request.body.clone(),
        }))
    }
}

/// Which of `all` an earlier request with the same token has made.
///
/// # Errors
/// `InvalidParameterException` if that request had other parameters.
pub(super) fn earlier<'a, T>(
    all: impl IntoIterator<Item = &'a T>,
    token_of: impl Fn(&T) -> Option<&Token>,
    token: Option<&Token>,
) -> Result<Option<&'a T>, Fault> {
    let Some(token) = token else {
        return Ok(None);
    };
    let mut all = all.into_iter();
    let is_of_same = |it: &&T| token_of(it).is_some_and(|used| used.text == token.text);
    match all.find(is_of_same) {
        Some(made) if token_of(made) != Some(token) => Err(invalid_parameter(
            "The client request token was used before with other parameters",
        )),
        made => Ok(made),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::VpcConfigRequest;

    use crate::eks::testing::{World, code, message, wait};

    /// A token that is long enough.
    fn token(name: &str) -> String {
        format!("{name:-<40}")
    }

    #[tokio::test(start_paused = true)]
    async fn token_has_33_to_126_characters() {
        let world = World::new().await;
        let create = |length| {
            let call = world.create("demo");
            call.client_request_token("x".repeat(length)).send()
        };
        for length in [1, 32, 127] {
            let call = create(length).await;
            assert_eq!(code(&call), "InvalidParameterException");
            let expected =
                "The client request token parameter must be between 33 and 126 characters.";
            assert_eq!(message(&call), expected);
        }
        create(33).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn same_request_makes_one_cluster_and_a_changed_one_none() {
        let world = World::new().await;
        let create = |name: &str| world.create(name).client_request_token(token("a"));
        let first = create("demo").send().await.unwrap();
        let again = create("demo").send().await.unwrap();
        assert_eq!(again.cluster, first.cluster);
        let vpc = VpcConfigRequest::builder().set_subnet_ids(Some(world.network().private.clone()));
        let changed = create("demo")
            .resources_vpc_config(vpc.build())
            .send()
            .await;
        assert_eq!(code(&changed), "InvalidParameterException");
        let other_name = create("other").send().await;
        assert_eq!(code(&other_name), "InvalidParameterException");
        let other_token = world.create("demo").client_request_token(token("b"));
        let other_token = other_token.send().await;
        assert_eq!(code(&other_token), "ResourceInUseException");
        assert_eq!(world.clusters().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn same_request_makes_one_profile_and_a_changed_one_none() {
        let world = World::new().await;
        world.cluster_active().await;
        let create = |namespace: &str| {
            let call = world.create_profile("pods", namespace);
            call.client_request_token(token("a")).send()
        };
        let first = create("one").await.unwrap();
        let again = create("one").await.unwrap();
        assert_eq!(again.fargate_profile, first.fargate_profile);
        assert_eq!(code(&create("two").await), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn same_request_makes_one_addon_and_a_changed_one_none() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        let create = |configuration: Option<&str>| {
            let call = world.coredns(configuration);
            call.client_request_token(token("a")).send()
        };
        let first = create(None).await.unwrap();
        assert_eq!(create(None).await.unwrap().addon, first.addon);
        let changed = create(Some("{}")).await;
        assert_eq!(code(&changed), "InvalidParameterException");
        let without = world.coredns(None).send().await;
        assert_eq!(code(&without), "ResourceInUseException");
    }

    #[tokio::test(start_paused = true)]
    async fn same_request_makes_one_entry_and_a_changed_one_none() {
        let world = World::new().await;
        world.cluster_active().await;
        let principal = world.role("somebody", "eks.amazonaws.com").await;
        wait(15).await;
        let create = |username: &str| {
            let call = world.create_entry(&principal).username(username);
            call.client_request_token(token("a")).send()
        };
        let first = create("one").await.unwrap();
        let again = create("one").await.unwrap();
        assert_eq!(again.access_entry, first.access_entry);
        assert_eq!(code(&create("two").await), "InvalidParameterException");
    }

    #[tokio::test(start_paused = true)]
    async fn same_request_starts_one_update_and_a_changed_one_none() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        wait(720).await;
        let protect = |on| {
            let call = world.eks.update_cluster_config().name("demo");
            let call = call.deletion_protection(on);
            call.client_request_token(token("a")).send()
        };
        let first = protect(true).await.unwrap();
        assert_eq!(protect(true).await.unwrap().update, first.update);
        wait(60).await;
        let again = protect(true).await.unwrap().update.unwrap();
        assert_eq!(again.id, first.update.unwrap().id);
        assert_eq!(code(&protect(false).await), "InvalidParameterException");

        let update = |configuration: &str| {
            let call = world.update_coredns(configuration);
            call.client_request_token(token("b")).send()
        };
        let first = update(r#"{"replicaCount":3}"#).await.unwrap();
        let again = update(r#"{"replicaCount":3}"#).await.unwrap();
        assert_eq!(again.update, first.update);
        let changed = update(r#"{"replicaCount":4}"#).await;
        assert_eq!(code(&changed), "InvalidParameterException");
    }
}
