//! SDK configuration: AWS as the AWS CLI would reach it, or the laptop's.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{Builder, tls};

/// The account of the laptop's AWS.
pub const LAPTOP_ACCOUNT: &str = "111122223333";

/// The variables with which SDKs and the AWS CLI find the services that the simulator at `endpoint`
/// plays; everything else is ministack's.
#[must_use]
pub fn simulated(endpoint: &str) -> [(&'static str, &str); 6] {
    [
        ("AWS_ENDPOINT_URL_EC2", endpoint),
        ("AWS_ENDPOINT_URL_EKS", endpoint),
        ("AWS_ENDPOINT_URL_IAM", endpoint),
        ("AWS_ENDPOINT_URL_KMS", endpoint),
        ("AWS_ENDPOINT_URL_SERVICE_QUOTAS", endpoint),
        ("AWS_ENDPOINT_URL_STS", endpoint),
    ]
}

/// The variables with which the functions find what the simulator at `endpoint` plays for them: the
/// log groups of clusters as well. The functions' own are ministack's, and everyone else reads those.
#[must_use]
pub fn simulated_for_functions(endpoint: &str) -> Vec<(&'static str, &str)> {
    let mut variables = simulated(endpoint).to_vec();
    variables.push(("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", endpoint));
    variables
}

/// The configuration of environment and profile, `AWS_ENDPOINT_URL` included.
pub async fn from_env() -> SdkConfig {
    loader().load().await
}

/// The configuration of a laptop's AWS at `endpoint`.
pub async fn laptop(endpoint: &str, region: &str) -> SdkConfig {
    // An access key of twelve digits is the account's id, for the laptop's AWS.
    let credentials = Credentials::new(LAPTOP_ACCOUNT, "laptop", None, None, "laptop");
    loader()
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .load()
        .await
}

fn loader() -> aws_config::ConfigLoader {
    let http_client = Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http_client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_functions_find_the_logs_of_clusters_in_the_simulator() {
        let is_logs = |(name, _): &(&str, &str)| name.contains("LOGS");
        assert!(!simulated("http://x").iter().any(is_logs));
        let of_functions = simulated_for_functions("http://x");
        assert!(of_functions.iter().any(is_logs));
        assert!(of_functions.iter().all(|(_, value)| *value == "http://x"));
        assert_eq!(of_functions.len(), simulated("http://x").len() + 1);
    }
}
