//! The Query protocols: form in, XML out. EC2 has a dialect of its own.

use http::Response;

use super::Answer;
use crate::api_error::ApiError;
use crate::params::Params;
use crate::xml::Element;

/// How a service writes its answers.
pub(super) struct Dialect {
    namespace: &'static str,
    is_ec2: bool,
}

/// EC2's API version.
pub(super) const EC2_VERSION: &str = "2016-11-15";

pub(super) const EC2: Dialect = Dialect {
    namespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
    is_ec2: true,
};
pub(super) const IAM: Dialect = Dialect {
    namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    is_ec2: false,
};
pub(super) const STS: Dialect = Dialect {
    namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    is_ec2: false,
};

const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Answers a call of which `handle` knows the content: the children of the response element (EC2) or
/// of the result element (the others).
pub(super) fn answer(
    dialect: &Dialect,
    params: &Params,
    handle: impl FnOnce(&str, &Params) -> Result<Vec<Element>, ApiError>,
) -> Answer {
    let operation = params.get("Action").unwrap_or("Unknown").to_owned();
    let result = handle(&operation, params);
    let error = result.as_ref().err().map(|error| error.code.clone());
    let (status, document) = match result {
        Ok(content) => (200, dialect.success(&operation, content)),
        Err(error) => (error.status, dialect.failure(&error)),
    };
    Answer {
        operation,
        request: params.to_json(),
        error,
        response: xml(status, &document),
    }
}

/// An error that no operation has answered.
pub(super) fn error_answer(dialect: &Dialect, error: &ApiError) -> Response<Vec<u8>> {
    xml(error.status, &dialect.failure(error))
}

impl Dialect {
    fn success(&self, operation: &str, content: Vec<Element>) -> Element {
        let response = Element::new(format!("{operation}Response")).namespace(self.namespace);
        if self.is_ec2 {
            return response
                .child(Element::text("requestId", REQUEST_ID))
                .children(content);
        }
        let metadata =
            Element::new("ResponseMetadata").child(Element::text("RequestId", REQUEST_ID));
        response
            .child(Element::new(format!("{operation}Result")).children(content))
            .child(metadata)
    }

    fn failure(&self, error: &ApiError) -> Element {
        let code = Element::text("Code", &error.code);
        let message = Element::text("Message", &error.message);
        if self.is_ec2 {
            let error = Element::new("Error").child(code).child(message);
            return Element::new("Response")
                .child(Element::new("Errors").child(error))
                .child(Element::text("RequestID", REQUEST_ID));
        }
        let side = if error.status < 500 {
            "Sender"
        } else {
            "Receiver"
        };
        let error = Element::new("Error")
            .child(Element::text("Type", side))
            .child(code)
            .child(message);
        Element::new("ErrorResponse")
            .namespace(self.namespace)
            .child(error)
            .child(Element::text("RequestId", REQUEST_ID))
    }
}

fn xml(status: u16, document: &Element) -> Response<Vec<u8>> {
    let mut response = Response::new(document.to_document().into_bytes());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/xml;charset=UTF-8"),
    );
    response
}
