//! The wire: HTTP requests in, HTTP answers out, in process or over a socket.

pub(crate) mod aws_json;
mod client;
mod query;
pub mod rest_json;
mod server;

use http::{HeaderMap, Request, Response};
use serde_json::Value;

use crate::call::Call;
use crate::fault::Fault;
use crate::params::Params;
use crate::permissions::{self, Asked};
use crate::state::Context;
use crate::{
    Simulator, ec2, eks, iam, logs, opening, quotas, refusal, regions, ssm, sts, throttle,
};
use aws_json::Operations;

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
    asked: &Asked<'_>,
) -> Result<(), Fault> {
    check_session(context, service)?;
    refusal::check(context, service, operation)?;
    regions::check(context, service)?;
    let params = match asked {
        Asked::Params(params) => Some(*params),
        Asked::Rest(..) | Asked::Input(_) => None,
    };
    opening::check(context, service, operation, params)?;
    throttle::check(
        context,
        service,
        operation,
        params.unwrap_or(&Params::default()),
    )?;
    permissions::check(context, service, operation, asked)
}

/// Refuses a session whose time is over; services have codes of their own for it.
fn check_session(context: &Context<'_>, service: &str) -> Result<(), Fault> {
    let sessions = &context.state.sessions;
    if !sessions.has_expired(&context.access_key, context.now) {
        return Ok(());
    }
    let code = match service {
        "ec2" => "RequestExpired",
        "eks" | "logs" | "servicequotas" | "ssm" => "ExpiredTokenException",
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

/// Answers a call of a service that speaks JSON, whose targets begin with `target`.
fn json(
    context: &mut Context<'_>,
    request: &Request<Vec<u8>>,
    service: &str,
    target: &str,
    operations: &Operations,
) -> Answer {
    aws_json::answer(request, target, |operation, input| {
        admit(context, service, operation, &Asked::Input(input))?;
        operations.answer(context, operation, input)
    })
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
                    admit(context, "ec2", op, &Asked::Params(params))?;
                    ec2::handle(context, op, params)
                }),
                "iam" => query::answer(&query::IAM, &params(), |op, params| {
                    admit(context, "iam", op, &Asked::Params(params))?;
                    iam::handle(context, op, params)
                }),
                "sts" => query::answer(&query::STS, &params(), |op, params| {
                    admit(context, "sts", op, &Asked::Params(params))?;
                    sts::handle(context, op, params)
                }),
                "eks" => rest_json::answer(request, |method, path, query, body| {
                    let operation = eks::operation(method, path);
                    let asked = Asked::Rest(path, query, body);
                    match admit(context, "eks", operation, &asked) {
                        Ok(()) => eks::handle(context, method, path, query, body),
                        Err(fault) => rest_json::RestAnswer {
                            operation,
                            result: Err(fault),
                        },
                    }
                }),
                "logs" => json(context, request, "logs", "Logs_20140328", &logs::OPERATIONS),
                "servicequotas" => {
                    let target = "ServiceQuotasV20190624";
                    json(
                        context,
                        request,
                        "servicequotas",
                        target,
                        &quotas::OPERATIONS,
                    )
                }
                "ssm" => json(context, request, "ssm", "AmazonSSM", &ssm::OPERATIONS),
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
        let call = Call {
            at,
            account,
            access_key: scope.access_key,
            region: scope.region,
            service: scope.service,
            operation: answer.operation,
            request: answer.request,
            error: answer.error,
        };
        self.world().record(call, self.inner.config.record);
        answer.response
    }

    /// The account that an access key belongs to.
    fn account_of(&self, access_key: &str) -> String {
        if access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit()) {
            return access_key.to_owned();
        }
        let world = self.world();
        let session = world.state.sessions.account_of(access_key);
        session
            .unwrap_or(&self.inner.config.default_account)
            .to_owned()
    }
}
