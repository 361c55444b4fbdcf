//! The wire: HTTP requests in, HTTP answers out, in process or over a socket.

mod aws_json;
mod client;
mod query;
pub mod rest_json;
mod server;

use http::{HeaderMap, Request, Response};
use serde_json::Value;

use crate::call::Call;
use crate::fault::Fault;
use crate::params::Params;
use crate::state::Context;
use crate::{Simulator, ec2, eks, iam, logs, refusal, ssm, sts, throttle};

/// What the `Authorization` header says of the caller.
///
/// Signatures are not checked: there are no secrets here.
struct Scope {
    access_key: String,
    region: String,
    service: String,
}

impl Scope {
    /// Reads `AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, …`.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let credential = header.split("Credential=").nth(1)?.split(',').next()?;
        let mut parts = credential.split('/');
        let access_key = parts.next()?.to_owned();
        let region = parts.nth(1)?.to_owned();
        let service = parts.next()?.to_owned();
        Some(Self {
            access_key,
            region,
            service,
        })
    }
}

/// What every call has to pass, whatever it asks for.
fn admit(
    context: &mut Context<'_>,
    service: &str,
    operation: &str,
    params: &Params,
) -> Result<(), Fault> {
    check_session(context, service)?;
    refusal::check(context, service, operation)?;
    throttle::check(context, service, operation, params)
}

/// Refuses a session whose time is over; services have codes of their own for it.
fn check_session(context: &Context<'_>, service: &str) -> Result<(), Fault> {
    let session = context.state.sessions.get(&context.access_key);
    if session.is_none_or(|session| context.now < session.expires_at) {
        return Ok(());
    }
    let code = match service {
        "ec2" => "RequestExpired",
        "eks" | "logs" | "ssm" => "ExpiredTokenException",
        _ => "ExpiredToken",
    };
    let message = "The security token included in the request is expired";
    Err(Fault::new(403, code, message))
}

/// An answered call: what it was, and what goes back.
struct Answer {
    operation: String,
    request: Value,
    error: Option<String>,
    response: Response<Vec<u8>>,
}

impl Simulator {
    /// Answers one HTTP request.
    pub(crate) fn answer(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        let Some(scope) = Scope::read(request.headers()) else {
            return rest_json::fault(&Fault::new(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ));
        };
        let account = self.account_of(&scope.access_key);
        let at = self.now();
        let key = scope.access_key.as_str();
        let answer = self.in_context(&account, &scope.region, key, |context| {
            let params = || Params::parse(request.body());
            match scope.service.as_str() {
                "ec2" => query::answer(&query::EC2, &params(), |op, params| {
                    admit(context, "ec2", op, params)?;
                    ec2::handle(context, op, params)
                }),
                "iam" => query::answer(&query::IAM, &params(), |op, params| {
                    admit(context, "iam", op, params)?;
                    iam::handle(context, op, params)
                }),
                "sts" => query::answer(&query::STS, &params(), |op, params| {
                    admit(context, "sts", op, params)?;
                    sts::handle(context, op, params)
                }),
                "eks" => rest_json::answer(request, |method, path, query, body| {
                    let operation = eks::operation(method, path);
                    let admitted = admit(context, "eks", operation, &Params::default());
                    match admitted {
                        Ok(()) => eks::handle(context, method, path, query, body),
                        Err(fault) => rest_json::RestAnswer {
                            operation,
                            result: Err(fault),
                        },
                    }
                }),
                "logs" => aws_json::answer(request, "Logs_20140328", |op, input| {
                    admit(context, "logs", op, &Params::default())?;
                    logs::handle(context, op, input)
                }),
                "ssm" => aws_json::answer(request, "AmazonSSM", |op, input| {
                    admit(context, "ssm", op, &Params::default())?;
                    ssm::handle(context, op, input)
                }),
                other => Answer {
                    operation: "Unknown".to_owned(),
                    request: Value::Null,
                    error: Some("UnknownService".to_owned()),
                    response: rest_json::fault(&Fault::new(
                        404,
                        "UnknownService",
                        format!("service {other} is not simulated"),
                    )),
                },
            }
        });
        self.world().calls.push(Call {
            at,
            account,
            access_key: scope.access_key,
            region: scope.region,
            service: scope.service,
            operation: answer.operation,
            request: answer.request,
            error: answer.error,
        });
        answer.response
    }

    /// The account that an access key belongs to.
    fn account_of(&self, access_key: &str) -> String {
        if access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit()) {
            return access_key.to_owned();
        }
        let world = self.world();
        let session = world.state.sessions.account_of(access_key);
        session.unwrap_or_else(|| self.inner.config.default_account.clone())
    }
}
