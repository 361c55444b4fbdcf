//! What EKS sees of the account's roles: late, and not all of it right.

use jiff::Timestamp;
use rand::seq::IndexedRandom;

use super::errors::invalid_parameter;
use crate::api_error::ApiError;
use crate::iam::trust::Document;
use crate::iam::{Iam, Role, service_linked_role};
use crate::seed::Seed;
use crate::state::Context;

/// EKS user guide, cluster IAM role: what a role needs at the least if it does not have the managed
/// policy.
const CLUSTER_ACTIONS: &[&str] = &[
    "ec2:CreateTags",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcs",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstanceTopology",
    "kms:DescribeKey",
];
const CLUSTER_POLICIES: &[&str] = &["AmazonEKSClusterPolicy", "AdministratorAccess"];
/// EKS user guide, pod execution role: it pulls images from Amazon ECR.
const POD_ACTIONS: &[&str] = &[
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
];
const POD_POLICIES: &[&str] = &[
    "AmazonEKSFargatePodExecutionRolePolicy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AdministratorAccess",
];
/// Who starts pods on Fargate.
pub(super) const PODS_SERVICE: &str = "eks-fargate-pods.amazonaws.com";

/// How EKS speaks of a cluster role that it refuses: usually in one way, at times in another. All of
/// them are what the Terraform AWS provider retries (internal/service/eks/cluster.go).
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    seed: Seed,
    now: Timestamp,
    other_share: f64,
}

impl Words {
    pub(super) fn of(context: &Context<'_>) -> Self {
        Self {
            seed: context.seed,
            now: context.now,
            other_share: context.state.faults.eks_other_words_share,
        }
    }

    /// The usual words, or one of the others.
    fn choose(&self, arn: &str, usual: &str, others: &[&str]) -> ApiError {
        let key = format!("{arn}/{}", self.now);
        if self.seed.hits("eks-other-words", &key, self.other_share) {
            let mut rng = self.seed.rng("eks-words", &key);
            if let Some(other) = others.choose(&mut rng) {
                return invalid_parameter(other);
            }
        }
        invalid_parameter(usual)
    }

    fn cannot_be_assumed(&self, arn: &str) -> ApiError {
        let usual = format!(
            "Role with arn: {arn}, could not be assumed because it does not exist or the trusted \
             entity is not correct"
        );
        let others = [
            "Role could not be assumed because the trusted entity is not correct",
            "Error in role params",
            &format!("The role {arn} does not exist"),
        ];
        self.choose(arn, &usual, &others)
    }

    fn lacks_policies(&self, arn: &str) -> ApiError {
        let usual = "The provided role doesn't have the Amazon EKS Managed Policies associated with \
                     it. Please ensure the following policies \
                     [arn:aws:iam::aws:policy/AmazonEKSClusterPolicy] are attached";
        let others = ["IAM role's policy must include the ec2:DescribeSubnets action"];
        self.choose(arn, usual, &others)
    }
}

/// Refuses a cluster role that EKS cannot assume yet, or that cannot do its work.
pub(super) fn check_cluster_role(iam: &Iam, arn: &str, words: Words) -> Result<(), ApiError> {
    let now = words.now;
    let role = iam.role_by_arn(arn);
    let role = role.filter(|role| trusts(role, service_linked_role::EKS_SERVICE, now));
    let role = role.ok_or_else(|| words.cannot_be_assumed(arn))?;
    // The service-linked roles are made by AWS with what they need.
    if !role.is_service_linked() && !may(role, CLUSTER_POLICIES, CLUSTER_ACTIONS, now) {
        return Err(words.lacks_policies(arn));
    }
    Ok(())
}

/// Refuses a service-linked role that has not spread yet (aws/aws-k8s-tester issue 232: the first
/// cluster of an account).
pub(super) fn check_service_linked_role(iam: &Iam, words: Words) -> Result<(), ApiError> {
    let role = iam.role(service_linked_role::EKS);
    role.map_or(Ok(()), |role| check_cluster_role(iam, &role.arn, words))
}

/// Refuses a pod execution role that EKS does not see, or sees without the trust that it needs. The
/// text is what the Terraform AWS provider retries.
pub(super) fn check_pod_execution_role(
    iam: &Iam,
    arn: &str,
    now: Timestamp,
) -> Result<(), ApiError> {
    let role = iam.role_by_arn(arn);
    if role.is_some_and(|role| trusts(role, PODS_SERVICE, now)) {
        return Ok(());
    }
    Err(invalid_parameter(
        "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com \
         Service Principal",
    ))
}

/// Whether Fargate can start pods of the profile with the ARN: the role's conditions let it, and the
/// role may pull images.
pub(crate) fn can_start_pods(
    iam: &Iam,
    role_arn: &str,
    profile_arn: &str,
    account: &str,
    now: Timestamp,
) -> bool {
    let Some(role) = iam.role_by_arn(role_arn) else {
        return false;
    };
    let caller = crate::iam::trust::Caller {
        service: Some(PODS_SERVICE.to_owned()),
        context: vec![
            ("aws:sourcearn".to_owned(), profile_arn.to_owned()),
            ("aws:sourceaccount".to_owned(), account.to_owned()),
        ],
        ..crate::iam::trust::Caller::default()
    };
    let trust = document(role, now);
    trust.is_some_and(|trust| trust.lets_assume(&caller))
        && may(role, POD_POLICIES, POD_ACTIONS, now)
}

/// When what can still change of what EKS sees of a role has changed.
pub(super) fn visible_at(iam: &Iam, role_arn: &str) -> impl Iterator<Item = Timestamp> {
    let role = iam.role_by_arn(role_arn);
    role.into_iter().flat_map(|role| {
        [
            role.trust.visible_at(),
            role.managed.visible_at(),
            role.inline.visible_at(),
        ]
    })
}

fn document(role: &Role, now: Timestamp) -> Option<Document> {
    Document::parse(role.trust.seen_at(now)?).ok()
}

fn trusts(role: &Role, service: &str, now: Timestamp) -> bool {
    document(role, now).is_some_and(|trust| trust.trusts_service(service))
}

/// Whether the role has one of the managed policies, or inline policies with all the actions.
fn may(role: &Role, policies: &[&str], actions: &[&str], now: Timestamp) -> bool {
    let attached = role.managed.seen_at(now).into_iter().flatten();
    // What is in the account's own policies is not known.
    let of_aws = attached.filter(|arn| arn.contains(":iam::aws:policy/"));
    let mut names = of_aws.filter_map(|arn| arn.rsplit('/').next());
    if names.any(|name| policies.contains(&name)) {
        return true;
    }
    let inline = role.inline.seen_at(now).into_iter().flatten();
    let documents: Vec<Document> = inline
        .filter_map(|(_, document)| Document::parse(document).ok())
        .collect();
    let is_allowed = |action: &str| documents.iter().any(|it| it.allows_action(action));
    actions.iter().all(|action| is_allowed(action))
}

#[cfg(test)]
mod tests {
    use crate::eks::testing::{World, code, message, wait};

    #[tokio::test(start_paused = true)]
    async fn role_that_has_not_spread_is_refused_in_several_ways() {
        let world = World::without_roles().await;
        world.simulator.change(|state| {
            state.faults.iam_lag_seconds = 600.0;
            state.faults.eks_other_words_share = 0.8;
        });
        world.cluster_role().await;
        let mut said = std::collections::BTreeSet::new();
        for _ in 0..60 {
            let call = world.create("demo").send().await;
            if call.is_ok() {
                break;
            }
            assert_eq!(code(&call), "InvalidParameterException");
            let words: Vec<&str> = message(&call).split(' ').take(4).collect();
            said.insert(words.join(" "));
            wait(10).await;
        }
        for words in [
            "Role with arn: arn:aws:iam::111122223333:role/cluster,",
            "Role could not be",
            "Error in role params",
            "The role arn:aws:iam::111122223333:role/cluster does",
        ] {
            assert!(said.contains(words), "{said:?}");
        }
    }
}
