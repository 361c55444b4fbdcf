//! What EKS' operations need: their own actions, and what EKS does with its caller's permissions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Needed, Resource, iam, json_tags};
use crate::api_error::ApiError;
use crate::eks::Cluster;
use crate::iam::service_linked_role::{self, EKS_SERVICE, FARGATE, FARGATE_SERVICE};
use crate::kms;
use crate::state::Context;
use crate::wire::rest_json::Query;

/// Operations about a cluster.
const OF_CLUSTER: &[&str] = &[
    "CreateAccessEntry",
    "CreateAddon",
    "CreateFargateProfile",
    "DeleteCluster",
    "DescribeCluster",
    "DescribeInsight",
    "DescribeUpdate",
    "ListAccessEntries",
    "ListAddons",
    "ListCapabilities",
    "ListFargateProfiles",
    "ListInsights",
    "ListNodegroups",
    "ListUpdates",
    "UpdateClusterConfig",
    "UpdateClusterVersion",
];
/// Operations about something in a cluster: the kind in its ARN.
const OF_CHILD: &[(&str, &str)] = &[
    ("AssociateAccessPolicy", "access-entry"),
    ("DeleteAccessEntry", "access-entry"),
    ("DescribeAccessEntry", "access-entry"),
    ("DisassociateAccessPolicy", "access-entry"),
    ("ListAssociatedAccessPolicies", "access-entry"),
    ("DeleteAddon", "addon"),
    ("DescribeAddon", "addon"),
    ("UpdateAddon", "addon"),
    ("DeleteFargateProfile", "fargateprofile"),
    ("DescribeFargateProfile", "fargateprofile"),
];
/// Operations about nothing in particular.
const OF_NOTHING: &[&str] = &[
    "DescribeAddonConfiguration",
    "DescribeAddonVersions",
    "DescribeClusterVersions",
    "ListAccessPolicies",
];
const OF_TAGS: &[&str] = &["ListTagsForResource", "TagResource", "UntagResource"];

pub(super) fn needed(
    context: &Context<'_>,
    operation: &str,
    path: &[&str],
    query: &Query,
    body: &Value,
) -> Option<Vec<Needed>> {
    let call = Call {
        context,
        path,
        body,
    };
    let of_child = OF_CHILD.iter().find(|(name, _)| *name == operation);
    let resource = match operation {
        "CreateCluster" => call.cluster(call.text("name")),
        "ListClusters" => call.cluster("*"),
        _ if OF_CLUSTER.contains(&operation) => call.cluster(call.segment(1)),
        _ if OF_NOTHING.contains(&operation) => call.nothing(),
        _ if OF_TAGS.contains(&operation) => call.tagged_resource(),
        _ => call.child(of_child?.1, call.segment(3)),
    };
    let tag_keys = query.iter().filter(|(name, _)| name == "tagKeys");
    let tag_keys = tag_keys.map(|(_, key)| ("aws:tagkeys".to_owned(), key.clone()));
    let own = Needed::new(format!("eks:{operation}"), resource)
        .keys(json_tags(body))
        .keys(tag_keys.collect());
    let mut all = vec![own];
    all.extend(call.tagging(operation));
    all.extend(call.implied(operation));
    Some(all)
}

struct Call<'a> {
    context: &'a Context<'a>,
    path: &'a [&'a str],
    body: &'a Value,
}

impl Call<'_> {
    fn segment(&self, at: usize) -> &str {
        self.path.get(at).copied().unwrap_or_default()
    }

    fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }

    fn arn(&self, resource: &str) -> String {
        let (region, account) = (&self.context.region, &self.context.account);
        let partition = self.context.partition();
        format!("arn:{partition}:eks:{region}:{account}:{resource}")
    }

    fn clusters(&self) -> Option<&BTreeMap<String, Cluster>> {
        let account = self.context.state.accounts.get(&self.context.account)?;
        let region = account.regions.get(&self.context.region)?;
        Some(&region.eks.clusters)
    }

    fn found(&self, name: &str) -> Option<&Cluster> {
        self.clusters()?.get(name)
    }

    fn cluster(&self, name: &str) -> Resource {
        let resource = Resource::new(self.arn(&format!("cluster/{name}")));
        match self.found(name) {
            Some(cluster) => resource.tagged(&cluster.tags),
            None => resource,
        }
    }

    /// Public logs: what `DescribeClusterVersions` is refused on.
    fn nothing(&self) -> Resource {
        Resource::new(self.arn("*"))
    }

    /// Something in a cluster. While there is none its ARN has no end.
    fn child(&self, kind: &str, name: &str) -> Resource {
        let cluster = self.segment(1);
        let found = self.found(cluster).and_then(|cluster| match kind {
            "addon" => {
                let addon = cluster.addons.get(name)?;
                Some((&addon.arn, &addon.tags))
            }
            "fargateprofile" => {
                let profile = cluster.fargate_profiles.get(name)?;
                Some((&profile.arn, &profile.tags))
            }
            _ => {
                let entry = cluster.access_entries.get(name)?;
                Some((&entry.arn, &entry.tags))
            }
        });
        if let Some((arn, tags)) = found {
            return Resource::new(arn).tagged(tags);
        }
        let name = match kind {
            "access-entry" => principal(name),
            _ => name.to_owned(),
        };
        Resource::new(self.arn(&format!("{kind}/{cluster}/{name}/*")))
    }

    fn tagged_resource(&self) -> Resource {
        let arn = self.path.get(1..).unwrap_or_default().join("/");
        let found = self.clusters().and_then(|clusters| {
            clusters.values().find_map(|cluster| {
                let own = [(&cluster.arn, &cluster.tags)].into_iter();
                own.chain(cluster.addons.values().map(|it| (&it.arn, &it.tags)))
                    .chain((cluster.fargate_profiles.values()).map(|it| (&it.arn, &it.tags)))
                    .chain((cluster.access_entries.values()).map(|it| (&it.arn, &it.tags)))
                    .find_map(|(known, tags)| (*known == arn).then_some(tags))
            })
        });
        let resource = Resource::new(&arn);
        match found {
            Some(tags) => resource.tagged(tags),
            None => resource,
        }
    }

    /// Tags at a creation need `eks:TagResource` (aws/aws-cdk issue 7163). On what is not written down: for
    /// what is in a cluster users' policies name the cluster (aws-cdk's role for clusters) or the new
    /// resource, and either will do here.
    fn tagging(&self, operation: &str) -> Option<Needed> {
        let tags = json_tags(self.body);
        let (kind, name) = match operation {
            "CreateCluster" => ("", ""),
            "CreateAccessEntry" => ("access-entry", self.text("principalArn")),
            "CreateAddon" => ("addon", self.text("addonName")),
            "CreateFargateProfile" => ("fargateprofile", self.text("fargateProfileName")),
            _ => return None,
        };
        if tags.is_empty() {
            return None;
        }
        let resource = if kind.is_empty() {
            self.cluster(self.text("name"))
        } else {
            let cluster = self.cluster(self.segment(1));
            let child = self.child(kind, name);
            let arns = cluster.arns;
            arns.into_iter().fold(child, Resource::also)
        };
        Some(Needed::new("eks:TagResource", resource).keys(tags))
    }

    fn implied(&self, operation: &str) -> Vec<Needed> {
        match operation {
            "CreateCluster" => self.by_create_cluster(),
            "CreateFargateProfile" => self.by_create_fargate_profile(),
            "CreateAddon" | "UpdateAddon" => {
                self.passing("serviceAccountRoleArn", EKS_SERVICE).collect()
            }
            _ => Vec::new(),
        }
    }

    /// IAM user guide, passing a role to a service. What counts is the service that is called, not the one
    /// that the role trusts: Step Functions' developer guide (Amazon EKS, IAM policies) passes
    /// `eks.amazonaws.com` the role of a node group, which trusts EC2; the Cluster API's controller makes
    /// Fargate profiles with that one value (cluster-api-provider-aws, cluster_api_controller.go).
    fn passing(&self, member: &str, service: &str) -> impl Iterator<Item = Needed> {
        let role = self.body[member].as_str().map(Resource::new);
        let passed = role.map(|role| Needed::new("iam:PassRole", role));
        passed
            .map(|needed| needed.key("iam:passedtoservice", service))
            .into_iter()
    }

    /// EKS user guide, service-linked roles: the caller must be allowed to make one that is missing.
    fn service_linked_role(&self, service: &str) -> Option<Needed> {
        let name = service_linked_role::name_of(service)?;
        let account = self.context.state.accounts.get(&self.context.account);
        let is_there = account.is_some_and(|account| account.iam.role(name).is_some());
        (!is_there).then(|| iam::create_service_linked_role(self.context, service))
    }

    fn by_create_cluster(&self) -> Vec<Needed> {
        let invalid = |message: &str| ApiError::client("InvalidParameterException", message);
        let mut all: Vec<Needed> = self.passing("roleArn", EKS_SERVICE).collect();
        // EKS user guide, envelope encryption with a key of one's own.
        for config in self.body["encryptionConfig"]
            .as_array()
            .into_iter()
            .flatten()
        {
            // KMS developer guide, controlling access with aliases: a policy that names an alias means
            // the alias; the key behind it is the resource.
            let key = config["provider"]["keyArn"].as_str().unwrap_or_default();
            let key = kms::key_of(self.context, key).unwrap_or_else(|| key.to_owned());
            // KMS developer guide, kms:ViaService and kms:GrantIsForAWSResource: EKS asks on its caller's
            // behalf, and for itself.
            let via = format!("eks.{}.amazonaws.com", self.context.region);
            for action in ["kms:DescribeKey", "kms:CreateGrant"] {
                // aws-quickstart/quickstart-amazon-eks-cluster-resource-provider issue 25 and
                // kubernetes-sigs/cluster-api-provider-aws issue 2432.
                let message = format!("User not authorized to perform {action} operation");
                let error = ApiError::client("InvalidRequestException", message);
                let needed = Needed::new(action, Resource::new(&key)).or_else(error);
                let needed = needed.key("kms:viaservice", &via);
                all.push(match action {
                    "kms:CreateGrant" => needed.key("kms:grantisforawsresource", "true"),
                    _ => needed,
                });
            }
        }
        // aws/aws-cdk issue 8574.
        if let Some(name) = self.text("roleArn").rsplit('/').next() {
            let message =
                "Caller does not have permission to perform `iam:listAttachedRolePolicies`";
            let role = iam::role(self.context, name);
            all.push(Needed::new("iam:ListAttachedRolePolicies", role).or_else(invalid(message)));
        }
        // The Terraform AWS provider, internal/service/eks/cluster.go; aws/aws-cdk issues 9027 and 11515:
        // though they speak of a role, it is the caller's permissions that were missing.
        for action in ["ec2:DescribeSubnets", "ec2:DescribeVpcs"] {
            let message = format!("IAM role's policy must include the `{action}` action");
            all.push(Needed::new(action, Resource::any()).or_else(invalid(&message)));
        }
        all.extend(self.service_linked_role(EKS_SERVICE));
        all
    }

    fn by_create_fargate_profile(&self) -> Vec<Needed> {
        let invalid = |message: &str| ApiError::client("InvalidRequestException", message);
        let mut all: Vec<Needed> = self.passing("podExecutionRoleArn", EKS_SERVICE).collect();
        // aws-controllers-k8s/community issue 1821.
        let message = format!(
            "Failed to validate if SLR: {FARGATE} already exists due to missing permissions for \
             'iam:GetRole'"
        );
        let role = iam::role(self.context, FARGATE);
        all.push(Needed::new("iam:GetRole", role).or_else(invalid(&message)));
        all.extend(self.service_linked_role(FARGATE_SERVICE));
        // aws/aws-cdk issue 7614 and pull request 7706. They do not say the code.
        for action in ["ec2:DescribeSubnets", "ec2:DescribeRouteTables"] {
            let message = format!("Missing permissions for \"{action}\"");
            all.push(Needed::new(action, Resource::any()).or_else(invalid(&message)));
        }
        all
    }
}

/// `role/444455556666/admin` for that account's role `admin`.
fn principal(arn: &str) -> String {
    let mut parts = arn.splitn(6, ':').skip(4);
    let account = parts.next().unwrap_or_default();
    let resource = parts.next().unwrap_or_default();
    let kind = resource.split('/').next().unwrap_or_default();
    let name = resource.rsplit('/').next().unwrap_or_default();
    format!("{kind}/{account}/{name}")
}
