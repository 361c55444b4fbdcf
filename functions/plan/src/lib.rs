//! Turns what a person typed into the plan: every default filled in, every choice made, once.
//!
//! First everything that can be checked without AWS, then what only AWS knows: who we are, which zones
//! and Kubernetes versions there are. It creates nothing, and whatever is wrong is refused here, by the
//! field's name, before anything exists.
//!
//! Safe to repeat: zones and CIDR blocks are a function of region and input, and a cluster that exists
//! keeps its Kubernetes version when the input does not name one. The same input gives the same plan.

mod network;
mod validate;
mod version;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use step::error::required;
use step::function::{parse, respond};
use step::plan::{Account, Endpoint};
use step::spec::{AccountSpec, EndpointSpec, FargateProfile, Selector};
use step::{Aws, Base, During, Error, Function, Outcome, Plan, Spec, Target};

/// The function `plan`.
pub struct Planner;

/// The request: the input of the state machine, as it is.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Request {
    Ensure { spec: Value },
}

/// The response's only output.
#[derive(Debug, Serialize)]
struct Output {
    plan: Plan,
}

/// The role that AWS Organizations makes in each account that it creates, unless told otherwise.
const DEFAULT_ROLE: &str = "OrganizationAccountAccessRole";
/// Who may use the public endpoint unless told otherwise: EKS's own default.
const ANYWHERE: &str = "0.0.0.0/0";

impl Function for Planner {
    const NAME: &'static str = "plan";

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        let Request::Ensure { spec } = parse(request)?;
        let spec = Spec::parse(&spec)?;
        validate::spec(&spec)?;
        let target = target(base, &spec).await?;
        validate::partition(&spec, &target)?;
        let session = format!("hardway-plan-{}", target.cluster_name);
        let aws = base
            .target(&target.account, &target.region, &session)
            .await?;
        let plan = plan(&aws, spec, target).await?;
        respond(&Outcome::Ready(Output { plan }))
    }
}

/// Which cluster, where: the machine's own account and region unless the input says otherwise.
async fn target(base: &Base, spec: &Spec) -> Result<Target, Error> {
    let region = spec.region.as_deref().or(base.region());
    let region = required(region, "the function's own region")?.to_owned();
    let identity = base
        .own(Some(&region))
        .sts
        .get_caller_identity()
        .send()
        .await
        .during("sts:GetCallerIdentity")?;
    let own_account = required(identity.account, "sts:GetCallerIdentity: account")?;
    let arn = required(identity.arn, "sts:GetCallerIdentity: arn")?;
    let partition = arn.split(':').nth(1).unwrap_or("aws").to_owned();
    Ok(Target {
        cluster_name: spec.cluster_name.clone(),
        account: account(spec.account.as_ref(), own_account, &partition),
        region,
        partition,
    })
}

fn account(spec: Option<&AccountSpec>, own: String, partition: &str) -> Account {
    match spec {
        Some(spec) if spec.id != own => {
            let role = spec.role_name.as_deref().unwrap_or(DEFAULT_ROLE);
            Account {
                role_arn: Some(format!("arn:{partition}:iam::{}:role/{role}", spec.id)),
                external_id: spec.external_id.clone(),
                id: spec.id.clone(),
            }
        }
        _ => Account {
            id: own,
            role_arn: None,
            external_id: None,
        },
    }
}

/// The plan for a valid spec.
async fn plan(aws: &Aws, spec: Spec, target: Target) -> Result<Plan, Error> {
    let kubernetes_version = version::choose(aws, &spec, &target).await?;
    let network = network::plan(aws, spec.network.as_ref(), &target.region).await?;
    Ok(Plan {
        kubernetes_version,
        network,
        endpoint: endpoint(spec.endpoint),
        fargate_profiles: spec.fargate_profiles.unwrap_or_else(default_profiles),
        admins: spec.access.unwrap_or_default().admins,
        logging: spec.logging.unwrap_or_default(),
        kms_key_arn: spec.kms_key_arn,
        support_type: spec.support_type.unwrap_or_default(),
        deletion_protection: spec.deletion_protection.unwrap_or(false),
        permissions_boundary_arn: spec.permissions_boundary_arn,
        on_failure: spec.on_failure.unwrap_or_default(),
        tags: spec.tags.unwrap_or_default(),
        target,
    })
}

fn endpoint(spec: Option<EndpointSpec>) -> Endpoint {
    let spec = spec.unwrap_or_default();
    let public = spec.public.unwrap_or(true);
    let public_cidrs = if public {
        spec.public_cidrs
            .unwrap_or_else(|| vec![ANYWHERE.to_owned()])
    } else {
        Vec::new()
    };
    Endpoint {
        public,
        public_cidrs,
        private: spec.private.unwrap_or(true),
    }
}

/// One profile for CoreDNS and one for the user's first pods.
fn default_profiles() -> Vec<FargateProfile> {
    ["kube-system", "default"]
        .map(|namespace| FargateProfile {
            name: namespace.to_owned(),
            selectors: vec![Selector {
                namespace: namespace.to_owned(),
                labels: std::collections::BTreeMap::new(),
            }],
        })
        .into()
}

#[cfg(test)]
mod tests;
