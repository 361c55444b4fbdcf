//! Where an acceptance runs: the account, who asks, and what AWS is asked with.

use functions::aws::{Aws, Base};
use functions::model::Account;
use functions::model::RoleNames;
use functions::model::Target;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use aws_config::{Region, SdkConfig};
use aws_sdk_iam::error::DisplayErrorContext;
use serde_json::Value;

use super::caller::Caller;
use crate::args::Acceptance;
use crate::local;
use crate::local::process::output;
use crate::local::tools::{Lock, Tools};

/// The account and region, and the ways to them.
pub(super) struct Place {
    pub root: PathBuf,
    pub tools: Tools,
    pub config: SdkConfig,
    pub base: Base,
    /// With the caller's own credentials.
    pub aws: Aws,
    pub cloudformation: aws_sdk_cloudformation::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub caller: Caller,
    /// The cluster, which has the stack's name.
    pub target: Target,
    pub speed: f64,
}

impl Place {
    /// Finds out where and as whom the credentials work, and prepares the tools. It changes nothing in AWS.
    pub async fn find(options: &Acceptance) -> Result<Self> {
        let root = local::root()?;
        let lock = Lock::acquire(&root).await?;
        let tools = local::during("installing the tools", Tools::prepare(&root, &lock)).await?;
        let base = Base::from_env().await;
        let region = options.region.as_deref().or(base.region());
        let region = region.context("no region is configured; say which with --region")?;
        let config = base.config().to_builder();
        let config = config.region(Region::new(region.to_owned())).build();
        let aws = Aws::new(&config);
        let caller = Caller::find(&aws).await?;
        let stack = match &options.stack_name {
            Some(name) => name.clone(),
            None => default_name(jiff::Timestamp::now()),
        };
        let target = Target {
            cluster_name: stack,
            region: region.to_owned(),
            partition: caller.partition().to_owned(),
            account: Account {
                id: caller.account.clone(),
                role_name: None,
                external_id: None,
            },
            iam: RoleNames::default(),
        };
        Ok(Self {
            base: Base::new(config.clone()),
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            root,
            tools,
            config,
            aws,
            caller,
            target,
            speed: options.speed,
        })
    }

    pub fn stack(&self) -> &str {
        &self.target.cluster_name
    }

    pub fn region(&self) -> &str {
        &self.target.region
    }

    /// An ARN of the account; `${Stack}` and the like are filled in.
    pub fn fill_in(&self, pattern: &str) -> String {
        let target = &self.target;
        pattern
            .replace("${Partition}", &target.partition)
            .replace("${Region}", &target.region)
            .replace("${AccountId}", &target.account.id)
            .replace("${ClusterRolePath}", &target.iam.path)
            .replace("${RoleNamePrefix}", &target.iam.name_prefix)
            .replace("${Stack}", &target.cluster_name)
            .replace("${Bucket}", &self.packages_bucket())
    }

    /// The bucket of the packages: its name must be nobody else's in the whole partition.
    pub fn packages_bucket(&self) -> String {
        format!("{}-packages-{}", self.stack(), self.target.account.id)
    }

    /// The AWS CLI, for services that hardway has no SDK client of.
    pub async fn cli(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.tools.command("aws");
        command.args(arguments);
        command.args(["--region", self.region(), "--output", "json"]);
        // It makes SQS' endpoint of the queue's URL, which is another one where AWS is not AWS.
        if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL")
            && arguments.first() == Some(&"sqs")
        {
            command.args(["--endpoint-url", &endpoint]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let done = output(&mut command).await;
        let done = done.context("the AWS CLI cannot be started")?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!("{}", said.trim().lines().last().unwrap_or("no message"));
        }
        if done.stdout.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&done.stdout).unwrap_or_default())
    }

    /// Waits for seconds of AWS's time.
    pub async fn sleep(&self, seconds: f64) {
        // A laptop in a hurry still needs real time for each answer.
        let seconds = (seconds / self.speed).max(0.2);
        tokio::time::sleep(std::time::Duration::from_secs_f64(seconds)).await;
    }
}

/// Whoever runs two at once, or a second one after a first that left something, has two names.
fn default_name(now: jiff::Timestamp) -> String {
    format!("hardway-acceptance-{:06}", now.as_second() % 1_000_000)
}

/// All that an SDK's error has to say, which is in its sources.
pub(super) fn said(error: &(impl std::error::Error + 'static)) -> String {
    DisplayErrorContext(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_name_is_one_that_may_be_typed() {
        let now = "2026-11-28T17:00:00Z".parse().unwrap();
        let name = default_name(now);
        assert!(name.len() <= 30 && name.starts_with("hardway-acceptance-"));
        assert_ne!(name, default_name("2026-11-28T17:00:01Z".parse().unwrap()));
    }
}
