//! The REST-JSON protocol of EKS.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Method, Request, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::Answer;
use crate::api_error::ApiError;

/// What a REST-JSON service answers: the operation's name, and its output or an error.
pub struct RestAnswer {
    /// For example `CreateCluster`.
    pub operation: &'static str,
    /// The output, or the error.
    pub result: Result<Value, ApiError>,
}

/// Query parameters: name and value, repeated names allowed.
pub type Query = Vec<(String, String)>;

/// Answers a call; `handle` gets method, decoded path segments, query and body.
pub(super) fn answer(
    request: &Request<Vec<u8>>,
    handle: impl FnOnce(&Method, &[&str], &Query, &Value) -> RestAnswer,
) -> Answer {
    let path: Vec<String> = request
        .uri()
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    let query: Query = form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes())
        .into_owned()
        .collect();
    let body: Value = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
    let RestAnswer { operation, result } = handle(request.method(), &segments, &query, &body);

    let mut record = Map::new();
    record.insert("path".to_owned(), path.join("/").into());
    for (name, value) in query {
        record.insert(name, value.into());
    }
    if let Value::Object(members) = body {
        record.extend(members);
    }
    Answer {
        operation: operation.to_owned(),
        request: Value::Object(record),
        error: result.as_ref().err().map(|error| error.code.clone()),
        response: match result {
            Ok(output) => json(200, &output),
            Err(error) => error_answer(&error),
        },
    }
}

/// An error as EKS writes it: the code in a header, the message and other members in the body.
pub(super) fn error_answer(error: &ApiError) -> Response<Vec<u8>> {
    let mut body = (*error.members).clone();
    body.insert("message".to_owned(), error.message.clone().into());
    let mut response = json(error.status, &Value::Object(body));
    if let Ok(code) = HeaderValue::from_str(&error.code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

/// The id of an answer, as no other has it: a UUID.
fn request_id() -> String {
    static ANSWERS: AtomicU64 = AtomicU64::new(1);
    let number = ANSWERS.fetch_add(1, Ordering::Relaxed);
    format!("5e4d1a70-0000-4000-8000-{number:012x}")
}

fn json(status: u16, body: &Value) -> Response<Vec<u8>> {
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Ok(id) = HeaderValue::from_str(&request_id()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
