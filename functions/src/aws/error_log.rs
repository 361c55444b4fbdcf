//! Every error of AWS as a line in the log: the code tells what happened even where a step expects it
//! (`NoSuchEntity` of something that is yet to be made) or the SDK tries again (throttling).

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Message of the line.
pub const AWS_ERROR: &str = "AWS answered with an error";

/// Part of an SDK client: looks at each answer, and logs it if it is an error.
#[derive(Debug)]
pub struct ErrorLog;

impl Intercept for ErrorLog {
    fn name(&self) -> &'static str {
        "ErrorLog"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if response.status().is_success() {
            return Ok(());
        }
        let call = bag.load::<Metadata>().map_or_else(String::new, call);
        let (code, reason) = said(response);
        let status = response.status().as_u16();
        tracing::info!(target: "hardway", call, code, status, reason, "{}", AWS_ERROR);
        Ok(())
    }
}

/// The call as IAM names it, for example `ec2:CreateVpc`.
fn call(metadata: &Metadata) -> String {
    let service = match metadata.service() {
        "CloudWatch Logs" => "logs".to_owned(),
        "SFN" => "states".to_owned(),
        other => other.replace(' ', "").to_lowercase(),
    };
    format!("{service}:{}", metadata.name())
}

/// Code and message of an answer: of XML (EC2, IAM, STS), or of JSON, which may have its code in a header.
fn said(response: &HttpResponse) -> (String, String) {
    let body = response.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    if let Some(code) = element(&body, "Code") {
        return (code, element(&body, "Message").unwrap_or_default());
    }
    let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |keys: [&str; 2]| keys.into_iter().find_map(|key| json[key].as_str());
    let code = response.headers().get("x-amzn-errortype");
    let code = code
        .or_else(|| text(["__type", "code"]))
        .unwrap_or_default();
    // `com.amazon#Code:http://…` has the code in its middle.
    let code = code.rsplit('#').next().unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default();
    let reason = text(["message", "Message"]).unwrap_or_default();
    (code.to_owned(), reason.to_owned())
}

fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    fn answer(body: &str) -> HttpResponse {
        HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body))
    }

    #[test]
    fn calls_are_named_as_iam_names_them() {
        for (service, expected) in [
            ("EC2", "ec2:X"),
            ("CloudWatch Logs", "logs:X"),
            ("Service Quotas", "servicequotas:X"),
            ("SFN", "states:X"),
        ] {
            assert_eq!(call(&Metadata::new("X", service)), expected);
        }
    }

    #[test]
    fn the_code_is_read_of_every_protocol() {
        let xml = "<Response><Errors><Error><Code>VpcLimitExceeded</Code><Message>too many</Message>\
                   </Error></Errors></Response>";
        let expected = ("VpcLimitExceeded".to_owned(), "too many".to_owned());
        assert_eq!(said(&answer(xml)), expected);
        let json = r#"{"__type":"com.amazon.coral#ThrottlingException","message":"slow down"}"#;
        let expected = ("ThrottlingException".to_owned(), "slow down".to_owned());
        assert_eq!(said(&answer(json)), expected);
        let mut rest = answer(r#"{"message":"No cluster found for name: x."}"#);
        let header = "ResourceNotFoundException:http://internal.amazon.com/";
        rest.headers_mut().insert("x-amzn-errortype", header);
        assert_eq!(said(&rest).0, "ResourceNotFoundException");
        assert_eq!(said(&answer("")), (String::new(), String::new()));
    }
}
