//! Client request tokens.
//!
//! botocore's EKS model, clientRequestToken: it makes a request idempotent. A create with a token that
//! was used before answers with what the first request made, as it is now: EKS does not compare the
//! parameters (captured answers of a real account, of CreatePodIdentityAssociation, where another role
//! and other tags got the first association). Another token for what is there already is
//! `ResourceInUseException`, and an update with a token that was used before is one more update (the
//! same captures). What a token means when the thing is deleted EKS does not document and no capture
//! shows: [`Eks::tokens_outlive_resources`] is both beliefs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::errors::invalid_parameter;
use super::request::Request;
use super::{Eks, parts};
use crate::api_error::ApiError;
use crate::state::Context;

/// The token of a request that made something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token(String);

/// ansible-collections/community.aws pull request 844, of CreateCluster; taken to hold everywhere.
const LENGTH: std::ops::RangeInclusive<usize> = 33..=126;

impl Token {
    /// The token of a request, if it has one.
    pub(super) fn of(request: &Request<'_>) -> Result<Option<Self>, ApiError> {
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
        Ok(Some(Self(text.to_owned())))
    }
}

/// Which of `all` an earlier request with the same token has made.
pub(super) fn earlier<'a, T>(
    all: impl IntoIterator<Item = &'a T>,
    token_of: impl Fn(&T) -> Option<&Token>,
    token: Option<&Token>,
) -> Option<&'a T> {
    let token = token?;
    let mut all = all.into_iter();
    all.find(|it| token_of(it) == Some(token))
}

/// What creates answered, by where they were sent and with which token.
pub(super) type Answers = BTreeMap<String, Value>;

/// The answer of an earlier create with the same token, where tokens outlive what they made.
pub(super) fn remembered(
    context: &mut Context<'_>,
    operation: &str,
    request: &Request<'_>,
) -> Option<Value> {
    let key = key(operation, request)?;
    let (eks, _) = parts(context);
    eks.answers
        .get(&key)
        .filter(|_| eks.tokens_outlive_resources)
        .cloned()
}

/// Remembers what a create has answered.
pub(super) fn remember(
    context: &mut Context<'_>,
    operation: &str,
    request: &Request<'_>,
    answer: &Value,
) {
    let (eks, _): (&mut Eks, _) = parts(context);
    if let Some(key) = key(operation, request).filter(|_| eks.tokens_outlive_resources) {
        eks.answers.insert(key, answer.clone());
    }
}

fn key(operation: &str, request: &Request<'_>) -> Option<String> {
    let token = request.body["clientRequestToken"].as_str()?;
    let is_create = operation.starts_with("Create");
    is_create.then(|| format!("{operation} {} {token}", request.path.join("/")))
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
    async fn same_token_makes_one_cluster_whatever_else_is_asked() {
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
        assert_eq!(changed.unwrap().cluster, first.cluster);
        let other_name = create("other").send().await;
        assert_eq!(other_name.unwrap().cluster, first.cluster);
        let other_token = world.create("demo").client_request_token(token("b"));
        let other_token = other_token.send().await;
        assert_eq!(code(&other_token), "ResourceInUseException");
        assert_eq!(world.clusters().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn same_token_makes_one_profile_whatever_else_is_asked() {
        let world = World::new().await;
        world.cluster_active().await;
        let create = |namespace: &str| {
            let call = world.create_profile("pods", namespace);
            call.client_request_token(token("a")).send()
        };
        let first = create("one").await.unwrap();
        let again = create("one").await.unwrap();
        assert_eq!(again.fargate_profile, first.fargate_profile);
        let changed = create("two").await.unwrap();
        assert_eq!(changed.fargate_profile, first.fargate_profile);
    }

    #[tokio::test(start_paused = true)]
    async fn same_token_makes_one_addon_whatever_else_is_asked() {
        let world = World::new().await;
        world.cluster_with_profile().await;
        let create = |configuration: Option<&str>| {
            let call = world.coredns(configuration);
            call.client_request_token(token("a")).send()
        };
        let first = create(None).await.unwrap();
        assert_eq!(create(None).await.unwrap().addon, first.addon);
        let changed = create(Some("{}")).await.unwrap();
        assert_eq!(changed.addon, first.addon);
        let without = world.coredns(None).send().await;
        assert_eq!(code(&without), "ResourceInUseException");
    }

    #[tokio::test(start_paused = true)]
    async fn same_token_makes_one_entry_whatever_else_is_asked() {
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
        let changed = create("two").await.unwrap();
        assert_eq!(changed.access_entry, first.access_entry);
        let call = world.create_entry(&principal).username("two");
        let other_token = call.client_request_token(token("b")).send().await;
        assert_eq!(code(&other_token), "ResourceInUseException");
    }

    #[tokio::test(start_paused = true)]
    async fn update_with_a_used_token_is_one_more_update() {
        let world = World::new().await;
        world.cluster_with_coredns().await;
        wait(720).await;
        let protect = |on| {
            let call = world.eks.update_cluster_config().name("demo");
            let call = call.deletion_protection(on);
            call.client_request_token(token("a")).send()
        };
        let first = protect(true).await.unwrap().update.unwrap();
        assert_eq!(code(&protect(true).await), "ResourceInUseException");
        wait(60).await;
        let again = protect(false).await.unwrap().update.unwrap();
        assert_ne!(again.id, first.id);

        let update = |configuration: &str| {
            let call = world.update_coredns(configuration);
            call.client_request_token(token("b")).send()
        };
        let first = update(r#"{"computeType":"Fargate","replicaCount":3}"#)
            .await
            .unwrap()
            .update
            .unwrap();
        wait(300).await;
        let again = update(r#"{"computeType":"Fargate","replicaCount":4}"#)
            .await
            .unwrap()
            .update
            .unwrap();
        assert_ne!(again.id, first.id);
    }

    /// An entry that is made, deleted, and asked for with the token that made it.
    async fn entry_made_again(outlive: bool) -> bool {
        let world = World::new().await;
        world.cluster_active().await;
        world.change_eks(|eks| eks.tokens_outlive_resources = outlive);
        let principal = world.role("somebody", "eks.amazonaws.com").await;
        wait(15).await;
        let create = || {
            let call = world.create_entry(&principal);
            call.client_request_token(token("a")).send()
        };
        create().await.unwrap();
        let call = world.eks.delete_access_entry().cluster_name("demo");
        call.principal_arn(&principal).send().await.unwrap();
        create().await.unwrap();
        world.clusters()["demo"]
            .access_entries
            .contains_key(&principal)
    }

    #[tokio::test(start_paused = true)]
    async fn whether_a_token_outlives_what_it_made_is_a_belief() {
        assert!(entry_made_again(false).await);
        assert!(!entry_made_again(true).await);
    }
}
