//! For which clusters an execution was started, for ever.
//!
//! Step Functions knows the name of an execution for 90 days after its end. Accounts are changed, moved and
//! enrolled years after they were made, and a cluster that somebody has removed must not come back then. So
//! a parameter of Systems Manager says of each cluster that it was started; the registry's entry says the
//! same of clusters that were built otherwise.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;

use crate::aws::{change, codes, parameters};
use crate::contract::{During, Error};

const PUT: &str = "ssm:PutParameter";

/// The parameters below two paths of the own account and region.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub ssm: Client,
    /// Where it is said what was started.
    pub path: String,
    /// Where the registry has its entries.
    pub registry: String,
}

impl Started {
    /// Whether an execution for a cluster was started before, or the cluster is known.
    pub(crate) async fn has(&self, cluster: &Cluster<'_>) -> Result<bool, Error> {
        for path in [&self.path, &self.registry] {
            let found = parameters::find(&self.ssm, &cluster.below(path)).await?;
            if found.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says so of a cluster; it is no matter if it was said before.
    pub(crate) async fn add(&self, cluster: &Cluster<'_>, execution: &str) -> Result<(), Error> {
        let name = cluster.below(&self.path);
        let call = self.ssm.put_parameter().name(&name).value(execution);
        let call = call.r#type(ParameterType::String);
        match change(PUT, &name, call.send()).await {
            Err(error) if error.code() == Some(codes::PARAMETER_ALREADY_EXISTS) => return Ok(()),
            answer => answer.during(PUT)?,
        };
        Ok(())
    }
}

/// Which cluster, where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cluster<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub name: &'a str,
}

impl Cluster<'_> {
    /// As the registry names its entries.
    fn below(&self, path: &str) -> String {
        format!("{path}/{}/{}/{}", self.account, self.region, self.name)
    }
}
