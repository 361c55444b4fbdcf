//! The end of every run: what it has made is removed, in the order in which it can be, and what is left is
//! looked for.

use anyhow::{Context, Result, bail, ensure};
use console::style;
use jiff::Timestamp;
use serde_json::json;

use super::place::Place;
use super::questions::{self, Reply};
use super::run::{Run, stage};
use super::{left, stack};
use crate::execution::name_for;
use crate::receipt::Receipt;

/// How long a function may still be at work whose execution was stopped.
const INVOCATION_SECONDS: f64 = 20.0;
/// EC2's and IAM's lists are seconds behind.
const LOOKS: usize = 10;
const LOOK_SECONDS: f64 = 6.0;
/// What EKS makes for the whole account with its first cluster and its first profile.
const SERVICE_LINKED: &[&str] = &[
    "AWSServiceRoleForAmazonEKS",
    "AWSServiceRoleForAmazonEKSForFargate",
];
/// What Step Functions makes for executions that wait for another one's end.
const MANAGED_RULE: &str = "StepFunctionsGetEventsForStepFunctionsExecutionRule";

impl Run<'_> {
    /// Removes everything. One thing that cannot be removed keeps none of the others, but for the stack, with
    /// which a cluster that is left can still be removed.
    pub async fn clean_up(&mut self) {
        if !self.has_begun {
            return;
        }
        let mut is_gone = true;
        if !self.building.is_empty() {
            is_gone = stage!(self, "teardown", self.tear_down()).is_ok();
            self.gone_at = Some(Timestamp::now());
        }
        let _ = stage!(
            self,
            "removal of the questions' things",
            self.undo_questions()
        );
        if self.executions.is_some() {
            if let Err(error) = self.measure().await {
                self.problem(format!("the functions' log: {error:#}"));
            }
            questions::events::ask_at_the_end(self.place, &mut self.answers).await;
        }
        if is_gone {
            let _ = stage!(self, "removal of the stack", self.remove_stack());
        } else {
            let why = "the stack stays: with it the cluster can still be removed";
            eprintln!("{} {why}", style("!").yellow().bold());
        }
        let _ = stage!(self, "proof that nothing is left", self.prove());
    }

    async fn tear_down(&mut self) -> Result<()> {
        let executions = self.executions.clone().context("there is no stack")?;
        let running = self.building.iter().filter(|it| !it.has_ended);
        let running: Vec<String> = running.map(|it| it.arn.clone()).collect();
        for arn in &running {
            let stop = executions.sfn().stop_execution().execution_arn(arn);
            let _ = stop.cause("the acceptance was ended").send().await;
        }
        if !running.is_empty() {
            self.place.sleep(INVOCATION_SECONDS).await;
        }
        if self.vpc.is_none() {
            self.vpc = vpc(self.place).await;
        }
        questions::cluster::ask_of_address(self.place, &mut self.answers).await;
        let input = json!({
            "clusterName": self.place.stack(),
            "region": self.place.region(),
            "disableDeletionProtection": true,
        });
        let machine = executions.stack().teardown_arn.clone();
        let mut tries = 0;
        loop {
            let arn = executions
                .start(&machine, &name_for(&input), &input)
                .await?;
            self.teardown = Some(arn.clone());
            let ended = executions.follow(&arn).await?;
            tries += 1;
            let receipt = ended.output().and_then(Receipt::of);
            match receipt {
                Ok(receipt) => {
                    self.removed.extend(receipt.removed);
                    ensure!(receipt.left.is_empty(), "{} are left", receipt.left.len());
                    return Ok(());
                }
                // What is in the way of one teardown may have gone before the next.
                Err(error) if tries < 2 => eprintln!("  once more, because: {error:#}"),
                Err(error) => return Err(error),
            }
        }
    }

    async fn undo_questions(&mut self) -> Result<()> {
        let undone = [
            questions::network::undo(self.place).await,
            questions::iam::undo(self.place).await,
            questions::events::undo(self.place).await,
        ];
        let problems: Vec<String> = undone.into_iter().filter_map(Result::err).collect();
        ensure!(problems.is_empty(), "{}", problems.join("; "));
        Ok(())
    }

    async fn remove_stack(&mut self) -> Result<()> {
        let removed = stack::remove(self.place).await;
        let rest = stack::remove_the_rest(self.place).await;
        let problems: Vec<String> = [removed, rest]
            .into_iter()
            .filter_map(Result::err)
            .collect();
        ensure!(problems.is_empty(), "{}", problems.join("; "));
        Ok(())
    }

    /// Looks until nothing is found, or for long enough.
    async fn prove(&mut self) -> Result<()> {
        for _ in 0..LOOKS {
            self.found = left::find(self.place, self.vpc.as_deref()).await;
            if self.found.is_nothing() {
                return Ok(());
            }
            self.place.sleep(LOOK_SECONDS).await;
        }
        let found = self.found.things.iter().map(|it| it.what.as_str());
        let unknown = self.found.unknown.iter().map(String::as_str);
        let all: Vec<&str> = found.chain(unknown).collect();
        bail!("{}", all.join(", "))
    }
}

/// The cluster's VPC, by its tags.
async fn vpc(place: &Place) -> Option<String> {
    let filters = functions::model::tags::ec2_filters(&place.target);
    let call = place.aws.ec2().describe_vpcs().set_filters(Some(filters));
    let found = call.send().await.ok()?;
    Some(found.vpcs().first()?.vpc_id()?.to_owned())
}

/// Those of EKS's that are there.
pub(super) async fn service_linked_roles(place: &Place) -> Vec<&'static str> {
    let mut found = Vec::new();
    for role in SERVICE_LINKED {
        let got = place.aws.iam().get_role().role_name(*role).send().await;
        if matches!(Reply::of(got), Reply::Accepted(_)) {
            found.push(*role);
        }
    }
    found
}

/// What AWS has made for the account beside the run, and does not remove with it; nothing of it costs
/// anything.
pub(super) async fn kept_by_aws(place: &Place, before: &[&str]) -> Vec<String> {
    let roles = service_linked_roles(place).await.into_iter();
    let roles = roles.filter(|role| !before.contains(role));
    let mut kept: Vec<String> = roles
        .map(|role| {
            format!(
                "the service-linked role {role}, which is the account's; \
                 `aws iam delete-service-linked-role --role-name {role}` removes it if you have no other cluster"
            )
        })
        .collect();
    let rule = place.cli(&["events", "describe-rule", "--name", MANAGED_RULE]);
    if rule.await.is_ok() {
        kept.push(format!(
            "the rule {MANAGED_RULE}, which is Step Functions' own and the account's"
        ));
    }
    kept
}
