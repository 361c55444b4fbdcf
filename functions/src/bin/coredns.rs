//! The Lambda function of the step `coredns`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::coredns::CoreDns>().await
}
