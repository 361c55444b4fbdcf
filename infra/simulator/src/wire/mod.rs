//! The wire: HTTP requests in, HTTP answers out, in process or over a socket.

pub(crate) mod aws_json;
mod client;
mod query;
pub mod rest_json;
mod server;

use http::{Request, Response};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::call::Call;
use crate::params::Params;
use crate::permissions::{self, Asked};
use crate::state::Context;
use crate::{
    Simulator, activation, ec2, eks, iam, injected_error, kms, logs, quotas, regions, ssm, sts,
    throttle,
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
    /// or, of a presigned request, the same credential in the query string (AWS General Reference,
    /// Signature Version 4).
    fn read(request: &Request<Vec<u8>>) -> Option<Self> {
        let header = request.headers().get(http::header::AUTHORIZATION);
        let header = header.and_then(|header| header.to_str().ok());
        let in_header = header
            .and_then(|header| header.split("Credential=").nth(1)?.split(',').next())
            .map(str::to_owned);
        let credential = in_header.or_else(|| in_query(request, "X-Amz-Credential"))?;
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

fn in_query(request: &Request<Vec<u8>>, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// The parameters of a Query call: its form, or of a GET its query string.
fn params(request: &Request<Vec<u8>>) -> Params {
    match request.uri().query() {
        Some(query) if request.method() == http::Method::GET => Params::parse(query.as_bytes()),
        _ => Params::parse(request.body()),
    }
}

/// What every call has to pass, whatever it asks for.
fn admit(
    context: &mut Context<'_>,
    service: &str,
    operation: &str,
    asked: &Asked<'_>,
) -> Result<(), ApiError> {
    check_session(context, service)?;
    injected_error::check(context, service, operation)?;
    regions::check(context, service)?;
    let params = match asked {
        Asked::Params(params) => Some(*params),
        Asked::Rest(..) | Asked::Input(_) => None,
    };
    activation::check(context, service, operation, params)?;
    throttle::check(
        context,
        service,
        operation,
        params.unwrap_or(&Params::default()),
    )?;
    permissions::check(context, service, operation, asked)
}

/// Refuses a session whose time is over; services have codes of their own for it.
fn check_session(context: &Context<'_>, service: &str) -> Result<(), ApiError> {
    let sessions = &context.state.sessions;
    if !sessions.has_expired(&context.access_key, context.now) {
        return Ok(());
    }
    let code = match service {
        "ec2" => "RequestExpired",
        "eks" | "kms" | "logs" | "servicequotas" | "ssm" => "ExpiredTokenException",
        _ => "ExpiredToken",
    };
    let message = "The security token included in the request is expired";
    Err(ApiError::new(403, code, message))
}

/// Answers a call without credentials. Those that are unsigned by design are not simulated, and say so.
fn unsigned(request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let by_design = ["AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"];
    let operation = params(request).get("Action").map(str::to_owned);
    let error = match operation.filter(|name| by_design.contains(&name.as_str())) {
        Some(name) => ApiError::client(
            "InvalidAction",
            format!("Could not find operation {name} for version 2011-06-15"),
        ),
        None => ApiError::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
    };
    answer_of(request, &error)
}

/// The error in the form in which the caller asked: a form with an `Action` is of the Query protocols, which
/// want XML. EC2's version tells its dialect.
fn answer_of(request: &Request<Vec<u8>>, error: &ApiError) -> Response<Vec<u8>> {
    let params = params(request);
    match (params.get("Action"), params.get("Version")) {
        (None, _) => rest_json::error_answer(error),
        (Some(_), Some(version)) if version == query::EC2_VERSION => {
            query::error_answer(&query::EC2, error)
        }
        (Some(_), Some("2010-05-08")) => query::error_answer(&query::IAM, error),
        (Some(_), _) => query::error_answer(&query::STS, error),
    }
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
        let Some(scope) = Scope::read(request) else {
            return unsigned(request);
        };
        let account = self.account_of(&scope.access_key);
        let at = self.now();
        let key = scope.access_key.as_str();
        let answer = self.in_context(&account, &scope.region, key, |context| {
            let params = || params(request);
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
                        Err(error) => rest_json::RestAnswer {
                            operation,
                            result: Err(error),
                        },
                    }
                }),
                "kms" => json(context, request, "kms", "TrentService", &kms::OPERATIONS),
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
                    response: answer_of(
                        request,
                        &ApiError::new(
                            404,
                            "UnknownService",
                            format!("service {other} is not simulated"),
                        ),
                    ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn ask(method: &str, uri: &str, body: &str) -> (u16, String) {
        let simulator = Simulator::new(Config::default());
        let request = Request::builder().method(method).uri(uri);
        let request = request.body(body.as_bytes().to_vec()).unwrap();
        let response = simulator.answer(&request);
        let body = String::from_utf8(response.body().clone()).unwrap();
        (response.status().as_u16(), body)
    }

    /// What `aws eks get-token` makes, and EKS verifies.
    #[test]
    fn a_presigned_request_says_who_it_is() {
        let (status, body) = ask(
            "GET",
            "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=444455556666%2F20261101%2Fus-east-1%2Fsts%2Faws4_request\
             &X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=00",
            "",
        );
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("<Account>444455556666</Account>"), "{body}");
    }

    #[test]
    fn unsigned_calls_are_refused_in_the_form_that_they_came_in() {
        for (body, form) in [
            (
                "Action=DescribeVpcs&Version=2016-11-15",
                "<Response><Errors><Error>",
            ),
            ("Action=ListRoles&Version=2010-05-08", "<ErrorResponse"),
            (
                "Action=GetCallerIdentity&Version=2011-06-15",
                "<ErrorResponse",
            ),
            ("{}", "{"),
        ] {
            let (status, answer) = ask("POST", "/", body);
            assert_eq!(status, 403);
            assert!(answer.contains(form), "{body}: {answer}");
        }
        let by_design = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15";
        let (status, answer) = ask("POST", "/", by_design);
        assert_eq!(status, 400);
        assert!(answer.contains("<Code>InvalidAction</Code>"), "{answer}");
    }
}
