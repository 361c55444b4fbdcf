//! From what a person types to a complete plan: every default filled in, every choice made, once.
//!
//! Bad input is refused here, before anything exists in AWS, with the field, the value and what would
//! be right. What needs no AWS is checked first ([`validate`]).
//!
//! Safe to repeat: nothing is made. Zones and CIDR blocks follow from region and input alone, and a
//! cluster that exists keeps its Kubernetes version when none is asked for, so that a second execution
//! with the same input gets the same plan.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use step::error::required;
use step::function::{parse, respond};
use step::plan::{Account, Endpoint, Network};
use step::spec::{AccountSpec, FargateProfile, NetworkSpec, Selector};
use step::{Aws, Base, During, Error, Function, Outcome, Plan, Spec, Target, eks};

mod arns;
mod cidr;
mod fargate;
mod user_tags;
pub mod validate;
mod versions;
mod zones;

/// The function `plan`.
pub struct Planner;

/// `{"action": "ensure", "execution": "…", "spec": {…}}`.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Request {
    Ensure { spec: Value },
}

/// What the steps need of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The plan.
    pub plan: Plan,
}

/// The role that AWS Organizations makes in the accounts that it creates.
const DEFAULT_ROLE_NAME: &str = "OrganizationAccountAccessRole";

impl Function for Planner {
    const NAME: &'static str = "plan";

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        let Request::Ensure { spec } = parse(request)?;
        let spec = Spec::parse(&spec)?;
        validate::check(&spec)?;
        let region = region(&spec, base)?;
        let own = base.own(base.region().or(Some(region)));
        let target = target(&own, &spec, region).await?;
        validate::check_for(&spec, &target)?;

        let session = format!("hardway-{}-{}", Self::NAME, target.cluster_name);
        let aws = base.target(&target.account, region, &session).await?;
        let plan = decide(&aws, &spec, target).await?;
        respond(&Outcome::Ready(Output { plan }))
    }
}

/// The region that is asked for, or the function's own.
fn region<'a>(spec: &'a Spec, base: &'a Base) -> Result<&'a str, Error> {
    let region = spec.region.as_deref().or(base.region());
    region.ok_or_else(|| {
        Error::invalid(
            "region",
            &spec.region,
            "an AWS region, since the function has none of its own",
        )
    })
}

/// Where to build: the own account and partition, unless another account is asked for.
async fn target(own: &Aws, spec: &Spec, region: &str) -> Result<Target, Error> {
    let identity = own.sts.get_caller_identity().send().await;
    let identity = identity.during("sts:GetCallerIdentity")?;
    let own_id = required(identity.account(), "sts:GetCallerIdentity: account")?;
    let arn = required(identity.arn(), "sts:GetCallerIdentity: arn")?;
    let partition = required(arn.split(':').nth(1), "sts:GetCallerIdentity: a partition")?;
    Ok(Target {
        cluster_name: spec.cluster_name.clone(),
        region: region.to_owned(),
        partition: partition.to_owned(),
        account: account(spec.account.as_ref(), own_id, partition),
    })
}

/// A role is assumed only in another account than the own.
fn account(asked: Option<&AccountSpec>, own_id: &str, partition: &str) -> Account {
    match asked {
        Some(asked) if asked.id != own_id => {
            let role = asked.role_name.as_deref().unwrap_or(DEFAULT_ROLE_NAME);
            Account {
                id: asked.id.clone(),
                role_arn: Some(format!("arn:{partition}:iam::{}:role/{role}", asked.id)),
                external_id: asked.external_id.clone(),
            }
        }
        _ => Account {
            id: own_id.to_owned(),
            role_arn: None,
            external_id: None,
        },
    }
}

/// Fills in what only AWS can tell, and every default.
async fn decide(aws: &Aws, spec: &Spec, target: Target) -> Result<Plan, Error> {
    let network = network(aws, spec, &target).await?;
    let kubernetes_version = kubernetes_version(aws, spec, &target).await?;
    Ok(Plan {
        target,
        kubernetes_version,
        network,
        endpoint: endpoint(spec),
        fargate_profiles: fargate_profiles(spec),
        admins: spec.access.clone().unwrap_or_default().admins,
        logging: spec.logging.clone().unwrap_or_default(),
        kms_key_arn: spec.kms_key_arn.clone(),
        support_type: spec.support_type.unwrap_or_default(),
        deletion_protection: spec.deletion_protection.unwrap_or_default(),
        permissions_boundary_arn: spec.permissions_boundary_arn.clone(),
        on_failure: spec.on_failure.unwrap_or_default(),
        tags: spec.tags.clone().unwrap_or_default(),
    })
}

async fn network(aws: &Aws, spec: &Spec, target: &Target) -> Result<Network, Error> {
    let default = NetworkSpec::default();
    let asked = spec.network.as_ref().unwrap_or(&default);
    let cidr = cidr::of_vpc(asked.cidr.as_deref())?;
    let found = zones::find(aws).await?;
    let chosen = zones::choose(&found, &target.region, asked.availability_zones)?;
    Ok(Network {
        cidr,
        service_cidr: cidr::of_services(cidr)?,
        nat_gateways: asked.nat_gateways.unwrap_or_default(),
        zones: cidr::subnets(cidr, chosen)?,
    })
}

/// The version that is asked for; else that of the cluster, if it exists already; else the newest one
/// in standard support.
async fn kubernetes_version(aws: &Aws, spec: &Spec, target: &Target) -> Result<String, Error> {
    if let Some(asked) = &spec.kubernetes_version {
        let offered = versions::find(aws).await?;
        versions::check(&offered, asked, spec.support_type.unwrap_or_default())?;
        return Ok(asked.clone());
    }
    let cluster = eks::find_cluster(aws, target).await?;
    match cluster.and_then(|cluster| cluster.version) {
        Some(version) => Ok(version),
        None => versions::newest(&versions::find(aws).await?),
    }
}

fn endpoint(spec: &Spec) -> Endpoint {
    let asked = spec.endpoint.clone().unwrap_or_default();
    let public = asked.public.unwrap_or(true);
    let everyone = || vec![validate::EVERYONE.to_owned()];
    Endpoint {
        public,
        public_cidrs: if public {
            asked.public_cidrs.unwrap_or_else(everyone)
        } else {
            vec![]
        },
        private: asked.private.unwrap_or(true),
    }
}

fn fargate_profiles(spec: &Spec) -> Vec<FargateProfile> {
    let of_namespace = |namespace: &str| FargateProfile {
        name: namespace.to_owned(),
        selectors: vec![Selector {
            namespace: namespace.to_owned(),
            labels: std::collections::BTreeMap::new(),
        }],
    };
    let asked = spec.fargate_profiles.clone();
    asked.unwrap_or_else(|| ["kube-system", "default"].map(of_namespace).to_vec())
}

#[cfg(test)]
mod tests;
