//! For unit tests of what the simulator has not: real SDK clients whose answers are the rules of
//! aws-smithy-mocks, and AWS's errors as they come over the wire.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

/// A client of one service that answers by rules, in any order; a call that matches none of them
/// fails the test.
///
/// aws-smithy-mocks' own `mock_client!` needs the feature `test-util` of every SDK crate, which would
/// compile each of them a second time.
///
/// ```ignore
/// let aws = Aws::offline().with(mocked!(aws_sdk_eks, [&described, &created]));
/// ```
#[macro_export]
macro_rules! mocked {
    ($sdk:ident, [$($rule:expr),* $(,)?]) => {{
        let rules = ::aws_smithy_mocks::MockResponseInterceptor::new()
            .rule_mode(::aws_smithy_mocks::RuleMode::MatchAny)
            $(.with_rule($rule))*;
        let config = $sdk::config::Builder::from(&$crate::aws::Aws::offline_config())
            .http_client(::aws_smithy_mocks::create_mock_http_client())
            .interceptor(rules)
            .build();
        $sdk::Client::from_conf(config)
    }};
}

/// An error of Step Functions or Organizations: code and message in a JSON body.
#[must_use]
pub fn json_error(code: &str, message: &str) -> HttpResponse {
    let body = serde_json::json!({ "__type": code, "message": message });
    HttpResponse::new(status_code(400), SdkBody::from(body.to_string()))
}

/// An error of STS: code and message in an XML body.
#[must_use]
pub fn iam_error(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error>\
         <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    );
    HttpResponse::new(status_code(status), SdkBody::from(body))
}

#[allow(clippy::expect_used, reason = "a mistake in a test should end it")]
fn status_code(status: u16) -> StatusCode {
    StatusCode::try_from(status).expect("an HTTP status")
}
