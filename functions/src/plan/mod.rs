//! From what a person types to a complete plan: every default filled in, every choice made, once.
//!
//! Bad input is refused here, before anything exists in AWS, with the field, the value and what would
//! be right. What needs no AWS is checked first ([`validate`]); then whether the account can be used yet
//! ([`readiness`]), whether what the input names in IAM exists, and whether the account's quotas have
//! room.
//!
//! A dry run ends after it, with a [`preview`] of what the execution would do.
//!
//! Safe to repeat: nothing is made. A cluster that exists keeps its zones, with their CIDR blocks, and
//! its Kubernetes version when none is asked for, so that a second execution with the same input gets the
//! same plan. The next version upgrades it.

use aws_sdk_ec2::types::AvailabilityZone;
use aws_sdk_eks::types::Cluster;
use jiff::Timestamp;
use readiness::Ready;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::{Aws, Base, Session, identity};
use crate::contract::error::required;
use crate::contract::function::{parse, respond};
use crate::contract::{Error, Function, Outcome};
use crate::model::Account;
use crate::model::plan::{Endpoint, Network};
use crate::model::spec::{AccountSpec, FargateProfile, NetworkSpec, OnFailure, Selector};
use crate::model::{Plan, Spec, Target, TeardownSpec};
use crate::resources::{cluster, cluster_version};

mod arns;
mod cidr;
mod fargate;
mod iam;
mod kms_key;
mod new_account;
mod placed_zones;
pub mod preview;
mod prices;
mod public_access;
mod quotas;
mod readiness;
mod region;
mod shape;
mod user_tags;
pub(crate) mod validate;
mod versions;
mod zones;

pub use preview::Preview;
pub use prices::{Line, MonthlyPrice};

/// The function `plan`.
pub struct Planner;

/// `{"action": "ensure" | "remove", "execution": "…", "startedAt": "…", "spec": {…}}`: the input of a
/// provisioning or of a teardown execution, and when the former was started.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Request {
    Ensure {
        spec: Value,
        #[serde(default, rename = "startedAt")]
        started_at: Option<Timestamp>,
    },
    Remove {
        spec: Value,
    },
}

/// What the steps need of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The plan.
    pub plan: Plan,
    /// Whether the execution ends here.
    pub dry_run: bool,
    /// What the execution would do; only of a dry run.
    pub preview: Option<Preview>,
}

/// What a teardown needs of it: tags say the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeardownOutput {
    /// Which cluster, where.
    pub plan: Target,
    /// Whether deletion protection is to be turned off.
    pub disable_deletion_protection: bool,
}

/// What it is in another account.
const SESSION: Session = Session {
    step: Planner::NAME,
    policy: include_str!("policy.json"),
};

impl Function for Planner {
    const NAME: &'static str = "plan";

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        match parse(request)? {
            Request::Ensure { spec, started_at } => {
                respond(&provisioning(base, &spec, started_at).await?)
            }
            Request::Remove { spec } => respond(&teardown(base, &spec).await?),
        }
    }
}

async fn provisioning(
    base: &Base,
    spec: &Value,
    started_at: Option<Timestamp>,
) -> Result<Outcome<Output>, Error> {
    let spec = Spec::parse(spec)?;
    validate::check(&spec)?;
    let iam = validate::role_names(base.role_names(), spec.iam.as_ref())?;
    let is_new = new_account::is_new(&spec, started_at)?;
    let (account, region) = (spec.account.as_ref(), spec.region.as_deref());
    let mut target = target(base, &spec.cluster_name, account, region).await?;
    target.iam = iam;
    validate::check_for(&spec, &target)?;

    let (aws, ready) = readiness::enter(base, &target, &spec, is_new).await?;
    let output = output(&aws, &spec, target, ready, is_new).await;
    let output = output.map_err(|error| readiness::sort(error, is_new))?;
    Ok(Outcome::Ready(output))
}

/// Decides everything, in an account that can be used.
async fn output(
    aws: &Aws,
    spec: &Spec,
    target: Target,
    ready: Ready,
    is_new: bool,
) -> Result<Output, Error> {
    let existing = cluster::find(aws, &target).await?;
    let existing = existing.as_ref();
    let mut plan = decide(aws, spec, target, existing, &ready.zones).await?;
    plan.is_new_account = is_new;
    iam::complete(aws, spec, &mut plan).await?;
    let dry_run = spec.dry_run.unwrap_or_default();
    let mut notes = ready.notes;
    // A control plane that is there has its key.
    if !existing.is_some_and(cluster::stays) {
        notes.extend(kms_key::check(aws, &plan, dry_run).await?);
    }
    notes.extend(public_access::check(aws, &plan).await?);
    notes.extend(quotas::check(aws, &plan).await?);
    let preview = if dry_run {
        Some(preview::of(aws, &plan, notes).await?)
    } else {
        None
    };
    Ok(Output {
        plan,
        dry_run,
        preview,
    })
}

/// What an execution with the input `spec` would do if it were started now, without a state machine and with
/// the caller's own credentials.
///
/// # Errors
/// As the execution would end: [`Error::InvalidRequest`] about the input, [`Error::QuotaExceeded`],
/// [`Error::ResourceConflict`], or what AWS answers.
pub async fn dry_run(base: &Base, spec: &Value) -> Result<(Plan, Preview), Error> {
    let mut spec = spec.clone();
    if let Some(members) = spec.as_object_mut() {
        members.insert("dryRun".to_owned(), true.into());
    }
    match provisioning(base, &spec, Some(Timestamp::now())).await? {
        Outcome::Ready(Output {
            plan,
            preview: Some(preview),
            ..
        }) => Ok((plan, preview)),
        other => Err(Error::Unexpected(format!("not a preview: {other:?}"))),
    }
}

async fn teardown(base: &Base, spec: &Value) -> Result<Outcome<TeardownOutput>, Error> {
    let spec = TeardownSpec::parse(spec)?;
    validate::check_teardown(&spec)?;
    let (account, region) = (spec.account.as_ref(), spec.region.as_deref());
    Ok(Outcome::Ready(TeardownOutput {
        plan: target(base, &spec.cluster_name, account, region).await?,
        disable_deletion_protection: spec.disable_deletion_protection.unwrap_or_default(),
    }))
}

/// Where to work: in the own account, region and partition, unless others are asked for.
async fn target(
    base: &Base,
    cluster_name: &str,
    account: Option<&AccountSpec>,
    region: Option<&str>,
) -> Result<Target, Error> {
    let expected = "an AWS region, since the function has none of its own";
    let chosen = region.or(base.region());
    let chosen = chosen.ok_or_else(|| Error::invalid("region", region, expected))?;
    let own = base.own(base.region().or(Some(chosen)));
    let identity = identity::of(&own, None).await?;
    let own_id = required(identity.account(), "sts:GetCallerIdentity: account")?;
    let arn = required(identity.arn(), "sts:GetCallerIdentity: arn")?;
    let partition = required(arn.split(':').nth(1), "sts:GetCallerIdentity: a partition")?;
    Ok(Target {
        cluster_name: cluster_name.to_owned(),
        region: chosen.to_owned(),
        partition: partition.to_owned(),
        account: account_of(account, own_id, base.member_role_name()),
        iam: base.role_names().clone(),
    })
}

/// A role is assumed only in another account than the own.
fn account_of(asked: Option<&AccountSpec>, own_id: &str, role_name: &str) -> Account {
    match asked {
        Some(asked) if asked.id != own_id => {
            let role = asked.role_name.as_deref().unwrap_or(role_name);
            Account {
                id: asked.id.clone(),
                role_name: Some(role.to_owned()),
                external_id: asked.external_id.clone(),
            }
        }
        _ => Account {
            id: own_id.to_owned(),
            role_name: None,
            external_id: None,
        },
    }
}

/// Fills in what only AWS can tell, and every default. `zones` are those that the account has in the
/// region.
async fn decide(
    aws: &Aws,
    spec: &Spec,
    target: Target,
    existing: Option<&Cluster>,
    zones: &[AvailabilityZone],
) -> Result<Plan, Error> {
    let network = network(aws, spec, &target, existing, zones).await?;
    let kubernetes_version = kubernetes_version(aws, spec, &target, existing).await?;
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
        on_failure: on_failure(spec, existing),
        is_new_account: false,
        tags: spec.tags.clone().unwrap_or_default(),
    })
}

async fn network(
    aws: &Aws,
    spec: &Spec,
    target: &Target,
    existing: Option<&Cluster>,
    zones: &[AvailabilityZone],
) -> Result<Network, Error> {
    let default = NetworkSpec::default();
    let asked = spec.network.as_ref().unwrap_or(&default);
    let cidr = cidr::of_vpc(asked.cidr.as_deref())?;
    let placed = placed_zones::find(aws, target, existing, cidr).await?;
    let chosen = zones::choose(zones, &target.region, asked, &placed)?;
    Ok(Network {
        cidr,
        service_cidr: cidr::of_services(cidr)?,
        nat_gateways: asked.nat_gateways.unwrap_or_default(),
        zones: cidr::subnets(cidr, chosen, &placed.places)?,
    })
}

/// A failing execution removes only what it has made itself: a cluster that was there before may be in
/// use, and it stays.
fn on_failure(spec: &Spec, existing: Option<&Cluster>) -> OnFailure {
    match existing {
        Some(_) => OnFailure::Keep,
        None => spec.on_failure.unwrap_or_default(),
    }
}

/// The version that is asked for, which upgrades a cluster that is one version older, and leaves one that
/// is newer as it is; else that of the cluster, if it exists already; else the newest one in standard
/// support.
async fn kubernetes_version(
    aws: &Aws,
    spec: &Spec,
    target: &Target,
    existing: Option<&Cluster>,
) -> Result<String, Error> {
    if let Some(asked) = &spec.kubernetes_version {
        let support = spec.support_type.unwrap_or_default();
        versions::check_asked(aws, target, existing, asked, support).await?;
        return Ok(asked.clone());
    }
    let existing = existing.filter(|cluster| cluster::stays(cluster));
    match existing.and_then(|cluster| cluster.version()) {
        Some(version) => Ok(version.to_owned()),
        None => versions::newest(&cluster_version::find(aws, None).await?),
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
