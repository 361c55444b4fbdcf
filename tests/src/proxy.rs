//! A proxy that injects failures between the deployed functions and the simulated AWS: microburst, from
//! `infra/requirements.txt`.
//!
//! Its rules and its control API are described at <https://github.com/pingedbrain/microburst>.

use hardway::local::Server;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::project;

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy(Server);

/// A call that a fault was injected into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// For example `CreateVpc`.
    pub operation: String,
    /// What was done to it, in microburst's words, for example `response:abort`.
    pub action: String,
}

impl Proxy {
    /// Starts a proxy that passes everything on to the AWS at `upstream`. Its log is
    /// `target/microburst.log`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(upstream: &str) -> Self {
        let target = project::root().join("target");
        let command = |port: u16| {
            let mut command = Command::new(target.join("venv/bin/microburst"));
            command.args(["--upstream", upstream, "--port", &port.to_string()]);
            command
        };
        let log = target.join("microburst.log");
        Self(Server::start("microburst", &log, command).await.unwrap())
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    /// From now on injects what these rules say, and nothing else. What was injected before is
    /// forgotten.
    ///
    /// # Panics
    /// If it does not understand them.
    pub async fn inject(&self, rules: &[Value]) {
        self.ask("POST", "rules", &json!(rules)).await;
        self.ask("DELETE", "fired", &Value::Null).await;
    }

    /// What was injected since the rules were set, at most 2000 faults.
    ///
    /// # Panics
    /// If it does not say so.
    pub async fn injected(&self) -> Vec<Injected> {
        let fired = self.ask("GET", "fired?limit=2000", &Value::Null).await;
        let text = |event: &Value, member: &str| event[member].as_str().unwrap().to_owned();
        let injected = |event| Injected {
            operation: text(event, "operation"),
            action: text(event, "action"),
        };
        fired.as_array().unwrap().iter().map(injected).collect()
    }

    /// A call of its control API. HTTP/1.0: the answer ends with the connection.
    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = self.endpoint().strip_prefix("http://").unwrap();
        let body = body.to_string();
        let length = body.len();
        let request = format!(
            "{method} /_microburst/{path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.0 200 "),
            "{method} {path}: {answer}"
        );
        serde_json::from_str(body).unwrap()
    }
}

/// A rule that injects `fault` where `condition` holds.
#[must_use]
pub fn rule(condition: &Value, fault: &Value) -> Value {
    let members = [condition, fault].into_iter().filter_map(Value::as_object);
    let members = members.flatten();
    let members = members.map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(members.collect())
}

/// The fault hits the first call of each operation that changes something, and every fifteenth of all
/// other calls. microburst counts instead of drawing: its own probabilities have no seed.
#[must_use]
pub fn often(fault: &Value) -> Vec<Value> {
    let first = simulator::operations()
        .filter(|(_, operation)| changes_something(operation))
        .map(
            |(service, operation)| json!({"service": service, "operation": operation, "times": 1}),
        );
    let fifteenth = json!({"sequence": {"fail": 1, "pass": 14}});
    let conditions = first.chain([fifteenth]);
    conditions
        .map(|condition| rule(&condition, fault))
        .collect()
}

fn changes_something(operation: &str) -> bool {
    let reads = ["Describe", "Get", "List", "AssumeRole"];
    !reads.iter().any(|verb| operation.starts_with(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_changes_something_has_a_rule_and_the_rest_shares_one() {
        let rules = often(&json!({"reset": true}));
        let of = |operation: &str| {
            let mut rules = rules.iter();
            rules.find(|rule| rule["operation"] == operation)
        };
        assert_eq!(
            of("CreateVpc"),
            Some(&json!({"service": "ec2", "operation": "CreateVpc", "times": 1, "reset": true}))
        );
        assert_eq!(of("DescribeVpcs"), None);
        let rest = json!({"sequence": {"fail": 1, "pass": 14}, "reset": true});
        assert_eq!(rules.last(), Some(&rest));
    }
}
