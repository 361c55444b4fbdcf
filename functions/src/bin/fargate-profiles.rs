//! The Lambda function of the step `fargate-profiles`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::fargate_profiles::FargateProfiles>().await
}
