//! From a Lambda event to a step and back.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument;

use crate::aws::{Aws, Base, Session, telemetry};
use crate::contract::wait::{self, Limits, Wait};
use crate::contract::{Error, Outcome, Removed};
use crate::model::{Plan, Target};

/// One kind of AWS resource: how to make it so, and how to make it gone.
///
/// Both are safe to repeat at any time, from any half-finished state: run twice equals run once.
pub trait Step {
    /// Name of binary and function.
    const NAME: &'static str;
    /// What its calls need, as an IAM policy: its `policy.json`, which is also what its role in
    /// the template allows. In another account its session may do no more (see [`Session`]).
    const POLICY: &'static str;
    /// How long `ensure` may answer PENDING in one execution: longer than AWS ever takes for it. Zero: it
    /// never does, and its state has no Wait.
    const ENSURE_LIMIT: Duration = Duration::ZERO;
    /// The same for `unprotect` and `remove` together.
    const REMOVE_LIMIT: Duration = Duration::ZERO;
    /// What it needs of earlier steps, beside the plan.
    type Input: DeserializeOwned + Send;
    /// What later steps need of it.
    type Output: Serialize + Send;

    /// Makes the resource as the plan wants it, as far as that can be done now.
    fn ensure(
        aws: &Aws,
        plan: &Plan,
        input: Self::Input,
    ) -> impl Future<Output = Result<Outcome<Self::Output>, Error>> + Send;

    /// Makes the resource gone, as far as that can be done now. What is not there, or not ours, is
    /// success: there is nothing to remove.
    fn remove(
        aws: &Aws,
        target: &Target,
    ) -> impl Future<Output = Result<Outcome<Removed>, Error>> + Send;

    /// Takes away what protects the resource from its removal, because the person who removes it asked
    /// for that. Most resources have no such thing.
    #[must_use]
    fn unprotect(
        _aws: &Aws,
        _target: &Target,
    ) -> impl Future<Output = Result<Outcome<()>, Error>> + Send {
        async { Ok(Outcome::Ready(())) }
    }
}

/// The input of a step that needs nothing but the plan.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct NoInput {}

/// A Lambda function: a JSON request in, a JSON response or a named error out.
pub trait Function {
    /// Name of binary and function.
    const NAME: &'static str;

    /// How long it may answer PENDING to requests with this `action`, in one state of one execution.
    /// What only looks and decides never waits.
    #[must_use]
    fn longest_wait(_action: &str) -> Duration {
        Duration::ZERO
    }

    /// How long its Task lasts with all retries, those of `AccountNotReady` aside.
    #[must_use]
    fn longest_retries() -> Duration {
        wait::RETRIES
    }

    /// Handles one request.
    fn handle(base: &Base, request: Value) -> impl Future<Output = Result<Value, Error>> + Send;
}

/// The request of a step: `{"action": "ensure", "execution": "…", "plan": {…}, …inputs…}` or
/// `{"action": "remove", "execution": "…", "plan": {…}, "disableDeletionProtection": true}`, whose plan
/// needs to be no more than a [`Target`] and whose last member may be missing.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Request<I> {
    Ensure {
        plan: Box<Plan>,
        #[serde(flatten)]
        input: I,
    },
    Remove {
        plan: Target,
        #[serde(default, rename = "disableDeletionProtection")]
        disable_deletion_protection: bool,
    },
}

impl<S: Step> Function for S {
    const NAME: &'static str = S::NAME;

    fn longest_wait(action: &str) -> Duration {
        match action {
            "remove" => S::REMOVE_LIMIT,
            _ => S::ENSURE_LIMIT,
        }
    }

    async fn handle(base: &Base, request: Value) -> Result<Value, Error> {
        let request: Request<S::Input> = parse(request)?;
        match request {
            Request::Ensure { plan, input } => {
                let aws = target_clients::<S>(base, &plan.target).await?;
                let outcome = S::ensure(&aws, &plan, input).await;
                respond(&outcome.map_err(|error| plan.sort(error))?)
            }
            Request::Remove {
                plan,
                disable_deletion_protection,
            } => {
                let aws = target_clients::<S>(base, &plan).await?;
                if disable_deletion_protection {
                    let outcome = S::unprotect(&aws, &plan).await?;
                    if outcome.is_pending() {
                        return respond(&outcome);
                    }
                }
                respond(&S::remove(&aws, &plan).await?)
            }
        }
    }
}

async fn target_clients<S: Step>(base: &Base, target: &Target) -> Result<Aws, Error> {
    let session = Session {
        step: S::NAME,
        policy: S::POLICY,
    };
    base.target(target, &session).await
}

/// Reads a request; a mistake in it names the field.
///
/// # Errors
/// [`Error::InvalidRequest`].
pub fn parse<T: DeserializeOwned>(request: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(request).map_err(|error| Error::InvalidRequest {
        field: error.path().to_string(),
        value: "the request".to_owned(),
        expected: error.into_inner().to_string(),
    })
}

/// Writes a response.
///
/// # Errors
/// [`Error::Unexpected`] if an output cannot be JSON, which no output is.
pub fn respond<T: Serialize>(response: &T) -> Result<Value, Error> {
    serde_json::to_value(response).map_err(|error| Error::Unexpected(error.to_string()))
}

/// Handles one request of function `F` and logs its answer.
///
/// # Errors
/// What the function answers, and [`Error::WaitTimedOut`] for what it has answered for too long.
pub async fn invoke<F: Function>(base: &Base, request: Value) -> Result<Value, Error> {
    let text = |pointer: &str| {
        request
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (execution, action, state) = (text("/execution"), text("/action"), text("/state"));
    let cluster = match text("/plan/clusterName") {
        none if none.is_empty() => text("/spec/clusterName"),
        name => name,
    };
    let span = tracing::info_span!(
        target: "hardway", "invoke", step = F::NAME, state, execution, cluster, action
    );
    async {
        let wait = Wait::of(&request);
        // Its type is forgotten here: a step's future nests those of many SDK calls, and with the
        // Lambda runtime's around it a binary's `main` would reach the compiler's limit.
        let handling: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(F::handle(base, request));
        let answer = match wait {
            Ok(wait) => match handling.await {
                Ok(answer) => wait.judge(answer, limits::<F>(&action), base.now()),
                failed => failed,
            },
            Err(invalid) => Err(invalid),
        };
        log(&answer);
        answer
    }
    .instrument(span)
    .await
}

fn limits<F: Function>(action: &str) -> Limits {
    Limits {
        pending: F::longest_wait(action),
        retries: F::longest_retries(),
    }
}

fn log(answer: &Result<Value, Error>) {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match answer {
        Ok(response) => {
            let (status, reason) = (text(response, "status"), text(response, "reason"));
            let check_after_seconds = response["checkAfterSeconds"].as_u64().unwrap_or_default();
            tracing::info!(
                target: "hardway", status, reason, check_after_seconds, "{}", telemetry::ANSWERED
            );
        }
        Err(error) => {
            let reason = error.to_string();
            tracing::warn!(
                target: "hardway", status = "ERROR", error = error.name(), reason,
                "{}", telemetry::ANSWERED
            );
        }
    }
}

/// Runs function `F` in the Lambda runtime; a binary's whole `main`.
///
/// # Errors
/// What the Lambda runtime cannot recover from.
pub async fn run<F: Function>() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let base = &Base::from_env().await;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        invoke::<F>(base, event.payload)
            .await
            .map_err(Diagnostic::from)
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Memory;
    use aws_smithy_async::time::StaticTimeSource;
    use serde_json::json;

    /// When all invocations are, in seconds since the epoch.
    const NOW: u64 = 1_000_000;

    struct Kettle;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Water {
        litres: u32,
        #[serde(default)]
        memory: Memory,
    }

    #[derive(Serialize)]
    struct Tea {
        cups: u32,
    }

    impl Step for Kettle {
        const NAME: &'static str = "kettle";
        const POLICY: &'static str = r#"{"Version": "2012-10-17", "Statement": []}"#;
        const ENSURE_LIMIT: Duration = wait::BRIEF;
        type Input = Water;
        type Output = Tea;

        async fn ensure(_: &Aws, _: &Plan, water: Water) -> Result<Outcome<Tea>, Error> {
            match water.litres {
                0 => {
                    let mut memory = water.memory.after_a_look();
                    memory.remember("kettle", "k-1");
                    Ok(Outcome::pending(5, "no water yet").remembering(memory))
                }
                99 => Err(Error::classify(
                    "kettle:Boil",
                    "AccessDenied",
                    "with an explicit deny in a service control policy",
                    403,
                )),
                litres => Ok(Outcome::Ready(Tea { cups: litres * 4 })),
            }
        }

        async fn remove(_: &Aws, _: &Target) -> Result<Outcome<Removed>, Error> {
            Ok(Outcome::Ready(Removed::default()))
        }
    }

    fn base() -> Base {
        Base::new(
            aws_config::SdkConfig::builder()
                .behavior_version(aws_config::BehaviorVersion::latest())
                .time_source(StaticTimeSource::from_secs(NOW))
                .build(),
        )
    }

    async fn ask(request: Value) -> Result<Value, Error> {
        invoke::<Kettle>(&base(), request).await
    }

    #[tokio::test]
    async fn ensure_gets_the_plan_and_its_inputs() {
        let plan = Plan::example();
        let request = json!({"action": "ensure", "plan": plan, "litres": 2});
        assert_eq!(
            ask(request).await.unwrap(),
            json!({"status": "READY", "cups": 8})
        );
        let request = json!({"action": "ensure", "plan": plan, "litres": 0});
        assert_eq!(ask(request).await.unwrap()["status"], "PENDING");
    }

    #[tokio::test]
    async fn memory_of_an_invocation_reaches_the_next_one() {
        let mut memory = json!({});
        for looks in 1..=3 {
            let request = json!({
                "action": "ensure",
                "execution": "one",
                "state": "Kettle",
                "plan": Plan::example(),
                "litres": 0,
                "memory": memory,
            });
            memory = ask(request).await.unwrap()["memory"].take();
            let expected = json!({
                "created": {"kettle": "k-1"},
                "looks": looks,
                "waitedSeconds": looks * 5,
                "dueAt": NOW + 5,
            });
            assert_eq!(memory, expected);
        }
    }

    #[tokio::test]
    async fn a_step_that_waits_past_its_limit_fails() {
        let after = |seconds: u64| {
            json!({
                "action": "ensure",
                "plan": Plan::example(),
                "litres": 0,
                "memory": {"waitedSeconds": seconds},
            })
        };
        let answer = ask(after(14 * 60)).await.unwrap();
        assert_eq!(answer["memory"]["waitedSeconds"], 14 * 60 + 42);
        assert_eq!(answer["memory"]["created"], json!({"kettle": "k-1"}));
        let error = ask(after(15 * 60)).await.unwrap_err();
        assert_eq!(error.name(), "WaitTimedOut");
        assert!(error.to_string().contains("no water yet"), "{error}");
    }

    #[tokio::test]
    async fn a_memory_that_is_none_is_invalid() {
        let request = json!({
            "action": "ensure", "plan": Plan::example(), "litres": 2, "memory": {"looks": "many"},
        });
        assert_eq!(ask(request).await.unwrap_err().name(), "InvalidRequest");
    }

    #[tokio::test]
    async fn remove_needs_only_the_target() {
        let request = json!({"action": "remove", "plan": Plan::example().target});
        assert_eq!(
            ask(request).await.unwrap(),
            json!({"status": "READY", "removed": []})
        );
    }

    #[tokio::test]
    async fn denial_by_the_organization_in_a_new_account_is_waited_for() {
        for (is_new_account, name) in [(false, "ExplicitDeny"), (true, "AccountNotReady")] {
            let plan = Plan {
                is_new_account,
                ..Plan::example()
            };
            let request = json!({"action": "ensure", "plan": plan, "litres": 99});
            assert_eq!(ask(request).await.unwrap_err().name(), name);
        }
    }

    #[tokio::test]
    async fn a_request_without_its_inputs_is_invalid() {
        let request = json!({"action": "ensure", "plan": Plan::example()});
        let error = ask(request).await.unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        assert!(error.to_string().contains("litres"), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_action_is_invalid() {
        let request = json!({"action": "destroy", "plan": Plan::example()});
        assert_eq!(ask(request).await.unwrap_err().name(), "InvalidRequest");
    }
}
