//! The laptop's AWS from outside: with the AWS CLI, as a person would use it, and over plain HTTP where
//! there are many calls at once.

use std::process::Command;

use hardway::local::Laptop;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::project;
use crate::world::{ACCOUNT, REGION};

/// What the AWS CLI says.
///
/// # Panics
/// If it is refused.
#[allow(
    clippy::must_use_candidate,
    reason = "it may be called for what it does"
)]
pub fn aws(laptop: &Laptop, arguments: &[&str]) -> Value {
    aws_as(laptop, &[], arguments).unwrap_or_else(|errors| panic!("aws {arguments:?}: {errors}"))
}

/// What the AWS CLI says, with other variables in its environment, for example those of another user.
///
/// # Errors
/// What it writes when it is refused.
///
/// # Panics
/// If it is not installed, or does not say JSON.
pub fn aws_as(
    laptop: &Laptop,
    environment: &[(&str, &str)],
    arguments: &[&str],
) -> Result<Value, String> {
    let output = Command::new(project::root().join("target/venv/bin/aws"))
        .args(arguments)
        .args(["--output", "json"])
        .envs(laptop.environment())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    match output.stdout[..] {
        [] => Ok(Value::Null),
        _ => Ok(serde_json::from_slice(&output.stdout).unwrap()),
    }
}

/// Invokes a function asynchronously, as EventBridge does.
///
/// # Panics
/// If the event is not accepted.
pub async fn deliver(laptop: &Laptop, function: &str, event: &Value) {
    let path = format!("/2015-03-31/functions/{function}/invocations");
    let (status, answer) = post(
        laptop,
        "lambda",
        &path,
        ("X-Amz-Invocation-Type", "Event"),
        event,
    )
    .await;
    assert_eq!(status, "202", "{answer}");
}

/// A call of a service that speaks JSON, named by its target, for example `AWSEvents.TestEventPattern`.
///
/// # Panics
/// If it is refused.
pub async fn call(laptop: &Laptop, service: &str, target: &str, request: &Value) -> Value {
    let (status, answer) = post(laptop, service, "/", ("X-Amz-Target", target), request).await;
    assert_eq!(status, "200", "{target}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

/// The answer's status and body. HTTP/1.0: it ends with the connection. The laptop's AWS takes the
/// account's own key without a signature.
async fn post(
    laptop: &Laptop,
    service: &str,
    path: &str,
    header: (&str, &str),
    body: &Value,
) -> (String, String) {
    let address = laptop.endpoint().strip_prefix("http://").unwrap();
    let (name, value) = header;
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.0\r\n\
         Host: {address}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\
         Content-Type: application/x-amz-json-1.1\r\n\
         {name}: {value}\r\n\
         Content-Length: {length}\r\n\r\n{body}",
        length = body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    (status.to_owned(), body.to_owned())
}

/// What a function has answered so far: the lines of its log, oldest first.
///
/// # Panics
/// If the logs cannot be read.
pub async fn answers(laptop: &Laptop, function: &str) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut request = json!({"logGroupName": laptop.stack().log_group});
        if !token.is_null() {
            request["nextToken"] = token;
        }
        let target = "Logs_20140328.FilterLogEvents";
        let mut page = call(laptop, "logs", target, &request).await;
        let lines = page["events"].as_array().into_iter().flatten();
        let lines = lines.filter_map(|event| serde_json::from_str(event["message"].as_str()?).ok());
        // The laptop's CloudWatch Logs does not filter by members of JSON.
        answers.extend(lines.filter(|line: &Value| {
            line["step"] == function && line["message"] == functions::aws::telemetry::ANSWERED
        }));
        token = page["nextToken"].take();
        if token.is_null() {
            return answers;
        }
    }
}

/// The program `hardway`, built as it is now, with this laptop's AWS in its environment.
///
/// # Panics
/// If it cannot be built.
pub async fn hardway(laptop: &Laptop) -> tokio::process::Command {
    let mut cargo = tokio::process::Command::new("cargo");
    cargo.args(["build", "--quiet", "--bin", "hardway", "--message-format"]);
    cargo.arg("json").current_dir(project::root());
    // What cargo says of this package to its tests is not meant for what is built here.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    let built = cargo.output().await.unwrap();
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{errors}");
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let messages = messages.lines().map(serde_json::from_str::<Value>);
    let executable = messages
        .filter_map(Result::ok)
        .filter(|message| message["target"]["name"] == "hardway")
        .find_map(|message| message["executable"].as_str().map(ToOwned::to_owned));
    let mut command = tokio::process::Command::new(executable.unwrap());
    command
        .current_dir(project::root())
        .env_remove("AWS_PROFILE")
        .envs(laptop.environment());
    command
}
