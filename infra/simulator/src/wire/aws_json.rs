//! The JSON protocol of KMS, CloudWatch Logs, Service Quotas and Systems Manager (awsJson1_1): the operation in
//! a header, members in the body.

use http::{HeaderValue, Request, Response};
use serde_json::Value;

use super::Answer;
use crate::api_error::ApiError;
use crate::state::Context;

const TARGET: &str = "x-amz-target";
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// What every operation is: it reads or changes the account and answers with its output.
type Operation = fn(&mut Context<'_>, &Value) -> Result<Value, ApiError>;

/// All operations of a service, by their names.
pub(crate) struct Operations(pub(crate) &'static [(&'static str, Operation)]);

impl Operations {
    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// Answers one of them with its output, or with the service's own codes.
    pub(crate) fn answer(
        &self,
        context: &mut Context<'_>,
        operation: &str,
        input: &Value,
    ) -> Result<Value, ApiError> {
        let work = self.0.iter().find(|(name, _)| *name == operation);
        let (_, work) = work.ok_or_else(|| {
            let message = format!("Operation {operation} is not known.");
            ApiError::client("UnknownOperationException", message)
        })?;
        work(context, input)
    }
}

/// Answers a call of the service whose targets start with `prefix`; `handle` gets the operation's name
/// and the members of its input.
pub(super) fn answer(
    request: &Request<Vec<u8>>,
    prefix: &str,
    handle: impl FnOnce(&str, &Value) -> Result<Value, ApiError>,
) -> Answer {
    let operation = operation(request, prefix).unwrap_or("Unknown").to_owned();
    let body: Value = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
    let result = handle(&operation, &body);
    Answer {
        operation,
        request: body,
        error: result.as_ref().err().map(|error| error.code.clone()),
        response: match result {
            Ok(output) => json(200, &output),
            Err(error) => error_answer(&error),
        },
    }
}

/// The operation's name, for example in `Logs_20140328.DescribeLogGroups`.
fn operation<'a>(request: &'a Request<Vec<u8>>, prefix: &str) -> Option<&'a str> {
    let target = request.headers().get(TARGET)?.to_str().ok()?;
    target.strip_prefix(prefix)?.strip_prefix('.')
}

/// An error as these services write it: the code is a member of the body (Smithy, AWS JSON 1.1
/// protocol, operation error serialization). Some have no message.
fn error_answer(error: &ApiError) -> Response<Vec<u8>> {
    let mut body = (*error.members).clone();
    body.insert("__type".to_owned(), error.code.clone().into());
    if !error.message.is_empty() {
        body.insert("message".to_owned(), error.message.clone().into());
    }
    json(error.status, &Value::Object(body))
}

/// An operation without output answers nothing at all.
fn json(status: u16, body: &Value) -> Response<Vec<u8>> {
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, CONTENT_TYPE);
    response
}
