//! The Lambda function of the step `nat-gateways`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    step::run::<nat_gateways::NatGateways>().await
}
